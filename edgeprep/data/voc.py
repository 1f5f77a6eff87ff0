"""Pascal VOC: objects with boxes, in one XML file for each picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from unicodedata import normalize
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.class_map import ClassMap
from edgeprep.data.entry import Entry, Judge, nothing
from edgeprep.data.file_reader import PlacedReader, Text, how_to_turn
from edgeprep.data.objects import Object, boxes_of, check_size
from edgeprep.data.painter import Painter
from edgeprep.data.pairs import paired
from edgeprep.data.picture_files import (
    by_stem,
    check_directory,
    files_below,
    pictures_below,
    reading,
)
from edgeprep.data.text import read_text
from edgeprep.errors import DataError, InputError, StorageError
from edgeprep.interfaces import Task
from edgeprep.pictures import Orientation
from edgeprep.truths import IGNORED, TruthKind

__all__ = ["Voc"]

# The names of the values in masks. Source: PASCAL VOC 2012 development kit, "Segmentation".
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)


def _colour(value: int) -> int:
    """What a value of a mask is shown in, as 0xRRGGBB.

    Source: PASCAL VOC 2012 development kit, VOClabelcolormap.m: the bits of the value go in turn to
    red, green and blue, from their highest bits on.
    """
    return sum(
        (value >> 3 * step + channel & 1) << 7 - step + 8 * (2 - channel)
        for step in range(8)
        for channel in range(3)
    )


_VALUES = (*range(len(CLASSES)), IGNORED)
# Masks that were saved in colours. In others, grey stands for its level: no colour but black and
# (128, 128, 128), which is of no value, is grey.
_VALUE_OF = {value * 0x010101: value for value in _VALUES} | {
    _colour(value): value for value in _VALUES
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voc(PlacedReader):
    """Objects of pictures, as Pascal VOC has them; and its masks.

    `path` is the directory that has the others. A picture without objects has a file that names
    none; one without a file counts as unreadable.

    Attributes:
        pictures: the directory of the pictures, in `path`.
        annotations: that of the XML files.
        masks: that of the masks, whose values are the classes of VOC by their names; in files of a
            palette, in grey, or in the colours of VOC.
        corners: "inclusive": boxes are the pixels of their corners, counted from 1, as VOC has
            them. "exact": they are the places of their corners, from 0, as some tools write.
        difficult: "ignore": objects that are marked so count neither for nor against anybody, as
            in the challenge; of pictures with several classes they are not there. "keep": they are
            as others.
    """

    name: ClassVar[str] = "voc"
    truths: ClassVar[tuple[TruthKind, ...]] = ("boxes", "mask", "classes")

    pictures: Text = "JPEGImages"
    annotations: Text = "Annotations"
    masks: Text = "SegmentationClass"
    corners: Literal["inclusive", "exact"] = "inclusive"
    difficult: Literal["ignore", "keep"] = "ignore"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures by name; where masks are asked for, those that have one.

        Raises:
            DataError: a directory is missing or empty, or there is an object without a label.
        """
        root = directory / self.path
        check_directory(root, f"{where}.path")
        places = f"{where}.pictures", f"{where}.masks"
        pictures = root / self.pictures
        turn = how_to_turn(self.orientation, task)
        if task is not None and task.truth == "mask":
            painter = Painter(
                partial(_number_of, self.class_map(task, where)), places[1], _VALUE_OF
            )
            masks = root / self.masks, ""
            return paired((pictures, ""), masks, painter.of_values, places, lone="leave", turn=turn)
        stems = by_stem(pictures_below(pictures, places[0]), pictures, "", places[0])
        entry = partial(_entry, pictures, turn)
        if task is None:
            return [entry(path) for path in stems.values()]
        judges = self._judges(root / self.annotations, task, where)
        if judges.keys().isdisjoint(stems):
            wanted = f"{next(iter(stems))}.xml"
            rule = f"must have files that are called as the pictures, such as {wanted!r}"
            got = f"none of {len(judges)}"
            raise DataError(f"{where}.annotations: {rule}, got {got}")
        lone = partial(_refuse, f"{root / self.annotations}: must have a file for it, got none")
        entries = [entry(path, judges.get(stem, lone)) for stem, path in stems.items()]
        reason = f"{pictures}: must have a picture of its name, got none"
        return entries + [
            Entry(
                name=f"{self.annotations}/{stem}.xml", picture=partial(_refuse, reason), lone=True
            )
            for stem in judges
            if stem not in stems
        ]

    def _judges(self, root: Path, task: Task, where: str) -> Mapping[str, Judge]:
        """What is true of each picture, by the stems of the files."""
        check_directory(root, f"{where}.annotations")
        class_map = self.class_map(task, where)
        judges: dict[str, Judge] = {}
        for path in (each for each in files_below(root) if each.suffix.lower() == ".xml"):
            stem = normalize("NFC", path.relative_to(root).with_suffix("").as_posix())
            place = f"{where}.annotations: {path.relative_to(root).as_posix()}"
            try:
                judges[stem] = self._judge(_tree(path), task, class_map, place)
            except (InputError, StorageError) as error:
                judges[stem] = partial(_refuse, str(error))
        return judges

    def _judge(
        self, tree: ElementTree.Element, task: Task, class_map: ClassMap, place: str
    ) -> Judge:
        objects = []
        for index, one in enumerate(tree.findall("object")):
            what = f"{place}: object {index}"
            number = class_map.of_name((one.findtext("name") or "").strip(), f"{what}: class")
            if number is None:
                continue
            crowd = self.difficult == "ignore" and _number(one, "difficult", what, 0) != 0
            corners = self._corners(one, what)
            objects.append(Object(number=number, corners=corners, crowd=crowd))
        height, width = (int(_number(tree, f"size/{side}", place, 0)) for side in _SIDES)
        return partial(_truth, str(task.truth), objects, (height, width), place)

    def _corners(self, one: ElementTree.Element, what: str) -> tuple[float, float, float, float]:
        left, top, right, bottom = (_number(one, f"bndbox/{name}", what) for name in _CORNERS)
        first = 1 if self.corners == "inclusive" else 0
        return left - first, top - first, right, bottom


_SIDES = ("height", "width")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _entry(root: Path, turn: Orientation, path: Path, judge: Judge = nothing) -> Entry:
    name = path.relative_to(root).as_posix()
    return Entry(name=name, picture=reading(path, turn), truth=judge)


def _truth(
    kind: str,
    objects: Sequence[Object],
    size: tuple[int, int],
    place: str,
    picture: NDArray[np.uint8],
) -> object:
    check_size(picture, *size, place)
    if kind == "boxes":
        return boxes_of(objects)
    # Nobody knows a class that may be absent as well: what is difficult to see is not said to be.
    return {each.number for each in objects if not each.crowd}


def _tree(path: Path) -> ElementTree.Element:
    text = read_text(path)
    # What a document type declares may be as large as it likes when it is read.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{path}: must have no document type, got one")
    try:
        tree = ElementTree.fromstring(text)  # noqa: S314 -- without a document type it is safe
    except ElementTree.ParseError as error:
        raise InputError(
            f"{path}: must be XML, got a file that fails with {str(error)!r}"
        ) from error
    if tree.tag != "annotation":
        raise InputError(f"{path}: must have an 'annotation' of VOC, got {tree.tag!r}")
    return tree


def _number(tree: ElementTree.Element, path: str, what: str, default: float | None = None) -> float:
    text = tree.findtext(path)
    if text is None and default is not None:
        return default
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{what}: {path} must be a number, got {text!r}")
    return number


def _number_of(class_map: ClassMap, value: int, place: str) -> int | None:
    if value == IGNORED:
        return None
    if value >= len(CLASSES):
        raise DataError(f"{place} value must be in 0..{len(CLASSES) - 1} or {IGNORED}, got {value}")
    return class_map.of_name(CLASSES[value], f"{place} class")


def _refuse(reason: str, *_: object) -> Any:
    raise InputError(reason)
