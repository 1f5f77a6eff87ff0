"""Pictures that a CSV or JSONL file lists, with their classes or boxes."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from edgeprep.data.class_map import ClassMap
from edgeprep.data.entry import Entry, Judge, always, nothing
from edgeprep.data.file_reader import PlacedReader, Text, how_to_turn
from edgeprep.data.picture_files import reading
from edgeprep.data.text import read_lines
from edgeprep.errors import DataError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.schema import show
from edgeprep.truths import Boxes, TruthKind

__all__ = ["List"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_DIGITS = 20

Row = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class List(PlacedReader):
    """Pictures that a file lists: `.csv` or `.tsv` with a first line of names, or `.jsonl`.

    A class is the name of a label; or a number of one, where no label is called as a number.
    Several classes are an array in JSONL, and apart by `separator` in CSV. Boxes are in JSONL
    alone: an array of `[x0, y0, x1, y1]` in pixels, with an array of as many classes.

    Attributes:
        pictures: the directory that names of pictures start from, relative to the recipe's; where
            it is not given, that of the list.
        picture: the column, or key, of the picture's name.
        label: that of its class or classes.
        boxes: that of its boxes.
        separator: what is between several classes in CSV.
    """

    name: ClassVar[str] = "list"
    truths: ClassVar[tuple[TruthKind, ...]] = ("class", "classes", "boxes")

    pictures: Text | None = None
    picture: Text = "picture"
    label: Text = "label"
    boxes: Text = "boxes"
    separator: Text = ";"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures of the list, in its order.

        Raises:
            RecipeError: boxes are asked of a file that cannot have them.
            DataError: the file is missing or no such list, lists a picture twice or has a class
                without a label.
        """
        path, place = directory / self.path, f"{where}.path"
        root = path.parent if self.pictures is None else directory / self.pictures
        if task is not None and task.truth == "boxes" and path.suffix.lower() in _DELIMITERS:
            raise RecipeError(
                f"{place}: must be JSONL where boxes are asked for, got {self.path!r}"
            )
        class_map = None if task is None else self.class_map(task, where)
        entries: list[Entry] = []
        lines: dict[str, int] = {}
        turn = how_to_turn(self.orientation, task)
        for line, row in _rows(path, place):
            what = f"{place}: {path.name}:{line}"
            if not entries and path.suffix.lower() in _DELIMITERS:
                self._check_columns(row, f"{place}: {path.name}:1", labelled=task is not None)
            name = _cell(row, "picture", self.picture, what)
            if not isinstance(name, str) or not name:
                rule = f"{self.picture!r} must be the name of a picture"
                raise DataError(f"{what}: {rule}, got {show(name)}")
            if name in lines:
                rule = "must list a picture once"
                raise DataError(
                    f"{what}: {rule}, got {name!r}, which is in line {lines[name]}, too"
                )
            lines[name] = line
            truth: Judge | None = nothing
            if class_map is not None and task is not None:
                truth = self._judge(row, str(task.truth), class_map, what)
            entries.append(
                Entry(
                    name=name,
                    picture=reading(root / name, turn),
                    truth=truth or nothing,
                    kind=self._kind(row),
                    meant=truth is not None,
                )
            )
        return entries

    def _check_columns(self, row: Mapping[str, Any], what: str, *, labelled: bool) -> None:
        """Refuse a table whose first line has not what is asked for."""
        _cell(row, "picture", self.picture, what)
        if labelled:
            _cell(row, "label", self.label, what)

    def _judge(
        self, row: Mapping[str, Any], kind: str, class_map: ClassMap, what: str
    ) -> Judge | None:
        """What is true of the picture; None where its class is to be left out."""
        label = _cell(row, "label", self.label, what)
        place = f"{what}: class"
        if kind == "class":
            number = _number(class_map, label, place)
            return None if number is None else always(number)
        if not isinstance(label, list):
            parts = str(label).split(self.separator) if label not in ("", None) else []
            label = [part.strip() for part in parts]
        numbers = [_number(class_map, one, place) for one in label]
        if kind == "classes":
            return always({number for number in numbers if number is not None})
        boxes = _cell(row, "boxes", self.boxes, what)
        if not isinstance(boxes, list) or len(boxes) != len(numbers):
            rule = f"{self.boxes!r} must be an array of {len(numbers)} boxes, one for each class"
            raise DataError(f"{what}: {rule}, got {show(boxes)}")
        known = [
            (box, number) for box, number in zip(boxes, numbers, strict=True) if number is not None
        ]
        for index, (box, _) in enumerate(known):
            numbers_only = isinstance(box, list) and all(type(one) in (int, float) for one in box)
            if not numbers_only or len(box) != 4:
                rule = f"box {index} must be four numbers [x0, y0, x1, y1]"
                raise DataError(f"{what}: {rule}, got {show(box)}")
        try:
            return always(Boxes.of([box for box, _ in known], [number for _, number in known]))
        except OverflowError as error:  # whole numbers in JSON are as long as they like
            rule = f"{self.boxes!r} must be finite numbers"
            raise DataError(f"{what}: {rule}, got {str(error)!r}") from error

    def _kind(self, row: Mapping[str, Any]) -> str | None:
        label = row.get(self.label)
        if label is None or isinstance(label, list) or self.separator in str(label):
            return None
        return str(label)


def _number(class_map: ClassMap, label: object, place: str) -> int | None:
    if type(label) not in (str, int):
        raise DataError(f"{place} must be a name or a number, got {show(label)}")
    text = str(label).strip()
    named = text in class_map.labels or text in class_map.classes
    counts = not any(label.isdecimal() for label in class_map.labels)
    # Longer ones are no numbers of classes, and Python refuses to read thousands of digits.
    if text.isdecimal() and len(text) < _DIGITS and not named and counts:
        return class_map.of_number(int(text), place)
    return class_map.of_name(text, place)


def _cell(row: Mapping[str, Any], option: str, key: str, what: str) -> object:
    if key not in row:
        remedy = f"{option} names it where it is called otherwise"
        raise DataError(f"{what}: must have {key!r}, got {show(list(row))}; {remedy}")
    return row[key]


def _rows(path: Path, where: str) -> Iterator[Row]:
    lines = read_lines(path, where)
    if path.suffix.lower() in _JSON_LINES:
        return _objects(lines, f"{where}: {path.name}")
    if path.suffix.lower() in _DELIMITERS:
        return _table(lines, _DELIMITERS[path.suffix.lower()], f"{where}: {path.name}")
    known = ", ".join(map(repr, (*_DELIMITERS, *_JSON_LINES)))
    raise DataError(f"{where}: must end in one of {known}, got {path.name!r}")


def _objects(lines: Sequence[tuple[int, str]], what: str) -> Iterator[Row]:
    for line, text in lines:
        if not text.strip():
            continue
        try:
            row = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            rule = "must be a JSON object"
            raise DataError(
                f"{what}:{line}: {rule}, got one that fails with {str(error)!r}"
            ) from error
        twice = _key_twice(text, row)
        if twice is not None:
            raise DataError(f"{what}:{line}: must have each key once, got {twice!r} twice")
        yield line, row


def _key_twice(text: str, row: Mapping[str, Any]) -> str | None:
    """A key that is in `text` twice, of which `row` has one value alone."""
    # Nearly always no text is there twice, and what tells more is slow.
    if all(text.count(f'"{key}"') < 2 for key in row):
        return None
    pairs: list[tuple[str, Any]] = []

    def take(found: list[tuple[str, Any]]) -> None:
        pairs[:] = found  # the object around all others comes last

    json.loads(text, object_pairs_hook=take)
    keys = [key for key, _ in pairs]
    return next((key for key in keys if keys.count(key) > 1), None)


def _table(lines: Sequence[tuple[int, str]], delimiter: str, what: str) -> Iterator[Row]:
    text = "\n".join(line for _, line in lines)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not names or len({*names}) != len(names):
            raise DataError(f"{what}:1: must name its columns, each once, got {show(names)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                rule = f"must have {len(names)} cells, as the first line"
                raise DataError(f"{what}:{reader.line_num}: {rule}, got {len(cells)}")
            yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        rule = "must be CSV"
        raise DataError(
            f"{what}:{reader.line_num}: {rule}, got a line that fails with {str(error)!r}"
        ) from error
