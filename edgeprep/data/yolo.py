"""YOLO: objects with boxes or outlines, in one text file for each picture."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.class_map import ClassMap, warn_of_twice
from edgeprep.data.entry import Entry, Judge, nothing
from edgeprep.data.file_reader import PlacedReader, Text, how_to_turn
from edgeprep.data.objects import Object, boxes_of, mask_of, number_of_background
from edgeprep.data.outlines import check_pycocotools, inside
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
from edgeprep.schema import show
from edgeprep.truths import IGNORED, TruthKind

__all__ = ["Yolo"]

# How far beyond the picture, in its sides, numbers may be that were rounded.
_SLACK = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Yolo(PlacedReader):
    """Objects of pictures, as Ultralytics' YOLO reads them.

    `path` is the directory of the pictures. A text file for each has a line for each object: its
    class and the centre, width and height of its box, or the points of its outline, in shares of
    the picture's sides. An empty file, or none, is a picture without objects.

    Attributes:
        labels: the directory of the text files, relative to the recipe's; where it is not given,
            `path` with "labels" in the place of its last "images".
        names: the names of the classes by their number, as `names` in a `data.yaml` has them;
            where they are not given, numbers are those of the task's labels.
        background: for masks, which need outlines, the label of pixels that are in no object.
    """

    name: ClassVar[str] = "yolo"
    truths: ClassVar[tuple[TruthKind, ...]] = ("boxes", "mask", "classes")

    labels: Text | None = None
    names: tuple[Text, ...] = ()
    background: Text = "background"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures by name.

        Raises:
            RecipeError: `background` is no label, and masks are asked for.
            DataError: a directory is missing, there are no text files, or one has a class without
                a label.
            BackendUnavailable: pycocotools is not installed, and masks are asked for.
        """
        root, place = directory / self.path, f"{where}.path"
        pictures = pictures_below(root, place)
        by_stem(pictures, root, "", place)
        entry = partial(_entry, root, how_to_turn(self.orientation, task))
        if task is None:
            return [entry(path) for path in pictures]
        warn_of_twice(self.names, f"{where}.names")
        files, files_place = directory / (self.labels or _beside(self.path)), f"{where}.labels"
        check_directory(files, files_place)
        texts = {path: files / path.relative_to(root).with_suffix(".txt") for path in pictures}
        known = {*texts.values()}
        lone = [each for each in files_below(files) if each.suffix == ".txt" and each not in known]
        if not any(path.exists() for path in texts.values()):
            wanted = texts[pictures[0]].name
            rule = f"must have files that are called as the pictures, such as {wanted!r}"
            raise DataError(f"{files_place}: {rule}, got none in {str(files)!r}")
        judge = self._judge(task, where)
        reason = f"{root}: must have a picture of its name, got none"
        return [entry(path, judge(texts[path])) for path in pictures] + [
            Entry(
                name=path.relative_to(files).as_posix(),
                picture=partial(_refuse, reason),
                lone=True,
            )
            for path in lone
            # A list of names, which many tools write.
            if path.name != "classes.txt"
        ]

    def _judge(self, task: Task, where: str) -> Callable[[Path], Judge]:
        """What reads a text file now, to tell later what is true of its picture."""
        number_of, background = partial(self._number, self.class_map(task, where)), 0
        if task.truth == "mask":
            check_pycocotools()
            background = number_of_background(task, self.background, where)

        def judge(path: Path) -> Judge:
            if not path.exists():
                return partial(_truth, str(task.truth), (), background, str(path))
            try:
                rows = _rows(path)
            except (InputError, StorageError) as error:
                return partial(_refuse, str(error))
            places = [f"{where}.labels: {path}:{row.line}: class" for row in rows]
            found = [number_of(row.label, place) for row, place in zip(rows, places, strict=True)]
            # In masks they are not background, as they would be if they were left out.
            left = IGNORED if task.truth == "mask" else None
            numbers = [left if number is None else number for number in found]
            known = [
                (number, row)
                for number, row in zip(numbers, rows, strict=True)
                if number is not None
            ]
            return partial(_truth, str(task.truth), known, background, str(path))

        return judge

    def _number(self, class_map: ClassMap, label: int, place: str) -> int | None:
        if not self.names:
            return class_map.of_number(label, place)
        if label >= len(self.names):
            rule = f"must be in 0..{len(self.names) - 1}"
            raise DataError(f"{place} {rule}, got {label}; there are {len(self.names)} names")
        return class_map.of_name(self.names[label], place)


def _beside(path: str) -> str:
    parts = list(PurePosixPath(path).parts)
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return str(PurePosixPath(*parts))


def _entry(root: Path, turn: Orientation, path: Path, judge: Judge = nothing) -> Entry:
    name = path.relative_to(root).as_posix()
    return Entry(name=name, picture=reading(path, turn), truth=judge)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a class, and a box or the points of an outline."""

    line: int
    label: int
    numbers: tuple[float, ...]

    def corners(self, height: int, width: int) -> tuple[float, float, float, float]:
        if len(self.numbers) == 4:
            x, y, across, down = self.numbers
            sides = x - across / 2, y - down / 2, x + across / 2, y + down / 2
        else:
            xs, ys = self.numbers[::2], self.numbers[1::2]
            sides = min(xs), min(ys), max(xs), max(ys)
        left, top, right, bottom = sides
        return left * width, top * height, right * width, bottom * height

    def inside(self, path: str, height: int, width: int) -> NDArray[np.bool_]:
        what = f"{path}:{self.line}:"
        if len(self.numbers) == 4:
            raise InputError(f"{what} must be an outline where masks are asked for, got a box")
        sides = [width, height] * (len(self.numbers) // 2)
        points = [share * side for share, side in zip(self.numbers, sides, strict=True)]
        return inside([points], height, width, what)


def _rows(path: Path) -> list[_Row]:
    """The lines of a text file.

    Raises:
        StorageError: it cannot be read.
        InputError: a line is not as it should be.

    Source: https://docs.ultralytics.com/datasets/detect/ and /segment/: one line an object,
        `class x_center y_center width height`, or `class x1 y1 x2 y2 …` with three or more points.
    """
    rows = []
    for line, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip():
            continue
        label, *shares = _numbers(text, f"{path}:{line}")
        if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
            rule = "must be a class with four numbers, or with three or more points"
            raise InputError(f"{path}:{line}: {rule}, got {show(text)}")
        if label < 0 or label != int(label):
            raise InputError(f"{path}:{line}: must begin with the number of a class, got {label}")
        if min(shares) < -_SLACK or max(shares) > 1 + _SLACK:
            wrong = next(each for each in shares if not -_SLACK <= each <= 1 + _SLACK)
            rule = "must have shares of the picture's sides, in 0..1"
            raise InputError(f"{path}:{line}: {rule}, got {wrong}")
        rows.append(_Row(line, int(label), tuple(shares)))
    return rows


def _numbers(text: str, place: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{place}: must have numbers only, got {show(text)}")
    return numbers


def _truth(
    kind: str,
    rows: Sequence[tuple[int, _Row]],
    background: int,
    path: str,
    picture: NDArray[np.uint8],
) -> object:
    if kind == "classes":
        return {number for number, _ in rows}
    height, width = picture.shape[:2]
    objects = [
        Object(
            number=number,
            corners=row.corners(height, width),
            inside=partial(row.inside, path),
        )
        for number, row in rows
    ]
    if kind == "mask":
        return mask_of(objects, background, height, width)
    return boxes_of(objects)


def _refuse(reason: str, *_: object) -> Any:
    raise InputError(reason)
