"""COCO: objects with boxes and outlines, in one JSON file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.data.class_map import ClassMap, warn_of_twice
from edgeprep.data.entry import Entry, nothing
from edgeprep.data.file_reader import PlacedReader, Text, how_to_turn
from edgeprep.data.objects import Object, boxes_of, check_size, mask_of, number_of_background
from edgeprep.data.outlines import check_pycocotools, inside
from edgeprep.data.picture_files import check_directory, reading
from edgeprep.data.text import read_bytes
from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.pictures import Orientation
from edgeprep.truths import IGNORED, TruthKind

__all__ = ["Coco"]

Id = int | str
T = TypeVar("T")


# Source: https://cocodataset.org/#format-data, "Object Detection"; other keys are left alone.
class _Image(msgspec.Struct):
    id: Id
    file_name: str
    height: int | None = None
    width: int | None = None


class _Images(msgspec.Struct):
    images: list[_Image]


class _Category(msgspec.Struct):
    id: Id
    name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: Id
    category_id: Id
    id: Id | None = None
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | None = None


class _Instances(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


class _Outlined(_Annotation, gc=False):
    # As it is written: in numbers, those of a large set fill the memory.
    segmentation: msgspec.Raw = msgspec.Raw(b"[]")


class _OutlinedInstances(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Outlined]
    categories: list[_Category]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coco(PlacedReader):
    """Objects of pictures, as the JSON files `instances_….json` of COCO have them.

    `path` is such a file. Its categories go by their names, whatever their numbers. A picture
    without annotations is one without objects. In masks, the smallest object lies on top, and
    crowds are where no class is asked for.

    Attributes:
        pictures: the directory of the pictures, relative to the recipe's.
        background: for masks, the label of pixels that are in no object.
    """

    name: ClassVar[str] = "coco"
    truths: ClassVar[tuple[TruthKind, ...]] = ("boxes", "mask", "classes")

    pictures: Text
    background: Text = "background"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures of the file, in its order.

        Raises:
            RecipeError: `background` is no label, and masks are asked for.
            DataError: the file is not one of COCO, refers to what is not in it, or has a category
                that is no label.
            BackendUnavailable: pycocotools is not installed, and masks are asked for.
        """
        root = directory / self.pictures
        check_directory(root, f"{where}.pictures")
        path, place = directory / self.path, f"{where}.path"
        content = read_bytes(path, place).removeprefix(b"\xef\xbb\xbf")
        what = f"{place}: {path.name}"
        entry = partial(_entry, root, how_to_turn(self.orientation, task))
        if task is None:
            return [entry(image) for image in _decode(content, _Images, what).images]
        background = 0
        if task.truth == "mask":
            check_pycocotools()
            background = number_of_background(task, self.background, where)
        file: _Instances | _OutlinedInstances
        if task.truth == "mask":
            file = _decode(content, _OutlinedInstances, what)
        else:
            file = _decode(content, _Instances, what)
        known = _by_image(file, self.class_map(task, where), what)
        judge = partial(_judge, str(task.truth), background, what)
        return [entry(image, partial(judge, image, known[image.id])) for image in file.images]


def _decode(content: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        rule = "must be annotations of COCO"
        raise DataError(f"{what}: {rule}, got a file that fails with {str(error)!r}") from error


def _entry(root: Path, turn: Orientation, image: _Image, judge: Any = nothing) -> Entry:
    picture = reading(root / image.file_name, turn)
    return Entry(name=image.file_name, picture=picture, truth=judge)


def _judge(
    kind: str,
    background: int,
    what: str,
    image: _Image,
    annotations: Sequence[tuple[int, _Annotation]],
    picture: NDArray[np.uint8],
) -> object:
    check_size(picture, image.height, image.width, f"{what}: image {image.id!r}")
    if kind == "classes":
        return {number for number, _ in annotations}
    objects = [_object(one, number, _place(one, what)) for number, one in annotations]
    if kind == "mask":
        return mask_of(objects, background, *picture.shape[:2])
    return boxes_of(objects)


def _by_image(
    file: _Instances | _OutlinedInstances, class_map: ClassMap, what: str
) -> Mapping[Id, Sequence[tuple[int, _Annotation]]]:
    """The annotations of each image with the numbers of their classes, by its id."""
    names = _unique([(each.id, each.name) for each in file.categories], f"{what}: categories")
    warn_of_twice([each.name for each in file.categories], f"{what}: categories")
    empty: list[tuple[Id, list[tuple[int, _Annotation]]]] = [(one.id, []) for one in file.images]
    found = _unique(empty, f"{what}: images")
    numbers: dict[Id, int | None] = {}
    for one in file.annotations:
        if one.image_id not in found:
            rule = "image_id must be one of the images"
            raise DataError(f"{_place(one, what)}: {rule}, got {one.image_id!r}")
        if one.category_id not in numbers:
            number = _number(one, names, class_map, what)
            # In masks it is not background, as it would be if it were left out.
            outlined = isinstance(one, _Outlined)
            numbers[one.category_id] = IGNORED if number is None and outlined else number
        if one.bbox is None and not isinstance(one, _Outlined):
            raise DataError(f"{_place(one, what)}: bbox must be given, got none")
        number = numbers[one.category_id]
        if number is not None:
            found[one.image_id].append((number, one))
    return found


def _number(
    one: _Annotation, names: Mapping[Id, str], class_map: ClassMap, what: str
) -> int | None:
    place = _place(one, what)
    if one.category_id not in names:
        rule = "category_id must be one of the categories"
        raise DataError(f"{place}: {rule}, got {one.category_id!r}")
    return class_map.of_name(names[one.category_id], f"{place}: category")


def _place(one: _Annotation, what: str) -> str:
    if one.id is None:
        return f"{what}: an annotation of image {one.image_id!r}"
    return f"{what}: annotation {one.id!r}"


def _object(one: _Annotation, number: int, place: str) -> Object:
    x, y, width, height = one.bbox or (0.0, 0.0, 0.0, 0.0)
    return Object(
        number=number,
        corners=(x, y, x + width, y + height),
        crowd=bool(one.iscrowd),
        area=one.area,
        inside=partial(_inside, one.segmentation, place) if isinstance(one, _Outlined) else None,
    )


def _inside(segmentation: msgspec.Raw, place: str, height: int, width: int) -> NDArray[np.bool_]:
    return inside(msgspec.json.decode(segmentation), height, width, f"{place}: segmentation")


def _unique(pairs: Sequence[tuple[Id, T]], what: str) -> dict[Id, T]:
    found: dict[Id, T] = {}
    for key, value in pairs:
        if key in found:
            raise DataError(f"{what} must have ids that differ, got {key!r} twice")
        found[key] = value
    return found
