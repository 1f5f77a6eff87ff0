"""Results as COCO has them: `--format coco`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.cli.output import as_json, emit
from edgeprep.cli.running.answers import Answers, Place
from edgeprep.cli.running.sources import FilmFile, PictureFile
from edgeprep.errors import DataError
from edgeprep.files import open_regular
from edgeprep.interfaces import Task
from edgeprep.schema import nearest

__all__ = ["CocoAnswers", "category_ids", "image_ids", "run_lengths"]

_TRUTHS = ("boxes", "mask")


class CocoAnswers(Answers):
    """A list of objects, as `loadRes` of pycocotools reads it.

    `category_id` is that of the category of the same name; where no categories are given, the
    number of the class in the recipe's labels plus 1.

    Args:
        task: of the bundle; it gives boxes, or a mask.
        files: all that is run, of which the ids of images come.
        categories: a file of annotations, whose categories have the names of the labels.

    Source: https://cocodataset.org/#format-results, "Object Detection"; held to pycocotools in
        tests/cli/test_cli_formats.py.
    """

    def __init__(
        self,
        task: Task,
        files: Sequence[PictureFile | FilmFile],
        categories: Path | None = None,
    ) -> None:
        super().__init__()
        if task.truth not in _TRUTHS:
            rule = "must be of a bundle that gives boxes or masks"
            raise click.UsageError(f"--format coco: {rule}, got task {task.name!r}")
        self._objects = _boxes if task.truth == "boxes" else _masks
        self._background: int | None = getattr(task, "background", None)
        self._categories = None if categories is None else category_ids(task, categories)
        self._ids = image_ids(files)
        self._found: list[dict[str, object]] = []

    def result(self, place: Place, result: Any) -> None:
        """Its objects."""
        image = self._ids[place.picture] if place.frame is None else place.frame + 1
        for one in self._objects(result, self._background):
            if self._categories is not None:
                one["category_id"] = self._categories[one["category_id"] - 1]
            self._found.append({"image_id": image, **one})

    def end(self, choice: Mapping[str, object]) -> None:
        """The list."""
        emit(json.dumps(as_json(self._found), allow_nan=False), {}, "text")


def image_ids(files: Sequence[PictureFile | FilmFile]) -> dict[str, int]:
    """The id of each picture.

    Where the names of all files are numbers that differ, as COCO's "000000000139.jpg", it is that
    number; elsewhere the place among all files as they are run, from 1. The id of a frame is its
    place in its film, from 1.
    """
    if len(files) > 1 and any(isinstance(file, FilmFile) for file in files):
        rule = "a film must be run alone, as its frames are the images"
        raise click.UsageError(f"--format coco: {rule}, got {len(files)} files")
    if len({file.path for file in files}) < len(files):
        rule = "a picture must be given once"
        raise click.UsageError(f"--format coco: {rule}, got {_twice(files)!r} twice")
    names = [Path(file.path).stem for file in files]
    if all(name.isascii() and name.isdigit() for name in names):
        numbers = [int(name) for name in names]
        if len(set(numbers)) == len(numbers):
            return {file.path: number for file, number in zip(files, numbers, strict=True)}
    return {file.path: place + 1 for place, file in enumerate(files)}


def category_ids(task: Task, path: Path) -> list[int]:
    """The id of each label's category, by its name.

    Raises:
        StorageError: the file cannot be read.
        DataError: it has no categories, or none of a label's name.
    """
    place = f"--categories: {path}"
    with open_regular(path) as opened:
        content = opened.read()
    try:
        file = msgspec.json.decode(content, type=_Categories)
    except msgspec.MsgspecError as error:
        rule = "must have the categories of COCO"
        raise DataError(f"{place}: {rule}, got a file that fails with {str(error)!r}") from error
    known = {category.name: category.id for category in file.categories}
    labels: Sequence[str] = getattr(task, "labels", ())
    background: int | None = getattr(task, "background", None)
    missing = [label for at, label in enumerate(labels) if label not in known and at != background]
    if missing:
        rule = f"must have a category for each of the {len(labels)} labels"
        raise DataError(f"{place}: {rule}, got none for {missing[0]!r}{nearest(missing[0], known)}")
    return [known.get(label, 0) for label in labels]


class _Category(msgspec.Struct):
    id: int
    name: str


class _Categories(msgspec.Struct):
    categories: list[_Category]


def _twice(files: Sequence[PictureFile | FilmFile]) -> str:
    paths = [file.path for file in files]
    return next(path for path in paths if paths.count(path) > 1)


def _boxes(result: Any, background: int | None) -> Iterator[dict[str, Any]]:
    rows = zip(result.boxes.tolist(), result.scores.tolist(), result.classes.tolist(), strict=True)
    for (left, top, right, bottom), score, number in rows:
        yield {
            "category_id": number + 1,
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }


def _masks(result: Any, background: int | None) -> Iterator[dict[str, Any]]:
    classes = result.classes
    for number in np.unique(classes).tolist():
        if number == background:
            continue
        mask = classes == number
        yield {
            "category_id": number + 1,
            "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
            # How sure the network is of these pixels, in the mean.
            "score": float(result.probabilities[number][mask].mean()),
        }


def run_lengths(mask: NDArray[np.bool_]) -> str:
    """The runs of a mask `(H, W)`, column by column, the first of what is not in it.

    Source: rleEncode and rleToString in maskApi.c of the COCO API; held to its own answers in
        tests/cli/test_cli_formats.py.
    """
    pixels = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(pixels)) + 1
    lengths = np.diff(np.concatenate(([0], ends, [pixels.size]))).tolist()
    if pixels[0]:
        lengths.insert(0, 0)
    text = []
    for place, length in enumerate(lengths):
        value = length - (lengths[place - 2] if place > 2 else 0)
        more = True
        while more:
            five = value & 0x1F
            value >>= 5
            more = value != (-1 if five & 0x10 else 0)
            text.append(chr((five | (0x20 if more else 0)) + 48))
    return "".join(text)
