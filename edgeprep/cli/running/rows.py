"""Results as rows of a table: `--format csv`."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgeprep.cli.output import emit
from edgeprep.cli.running.answers import Answers, Place
from edgeprep.errors import OutputError

__all__ = ["CsvAnswers", "rows_of"]

_PLACE = ("picture", "frame", "time_s")
_CORNERS = ("x0", "y0", "x1", "y1")

Cell = str | int | float | bool | None


class CsvAnswers(Answers):
    """A row for each object, or for each result that is not of several.

    The columns are those of the first row of an object: a picture in which nothing is has none of
    them, and a row that is empty but for its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self._columns: tuple[str, ...] | None = None
        self._waiting: list[tuple[Cell, ...]] = []

    def result(self, place: Place, result: Any) -> None:
        """The rows of one result."""
        where = (place.picture, place.frame, place.time_s)
        rows = list(rows_of(result.to_json()))
        if not rows and self._columns is None:
            self._waiting.append(where)
        elif not rows:
            self._write((*where, *([None] * len(self._columns or ()))))
        for row in rows:
            columns = self._columns or self._begin(tuple(row))
            if tuple(row) != columns:
                rule = f"every row must have the columns of the first, {list(columns)}"
                raise OutputError(f"csv: {rule}, got {list(row)}; --format jsonl takes any")
            self._write((*where, *row.values()))

    def end(self, choice: Mapping[str, object]) -> None:
        """The head, where there was no row."""
        if self._columns is None:
            self._begin(())

    def _begin(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        self._columns = columns
        self._write((*_PLACE, *columns))
        for where in self._waiting:
            self._write((*where, *([None] * len(columns))))
        return columns

    def _write(self, cells: Sequence[Cell]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(cells)
        emit(text.getvalue(), {}, "text")


def rows_of(document: Mapping[str, object]) -> Iterator[Mapping[str, Cell]]:
    """The rows of a result, by its document.

    What the document says of the whole is one row. Where it says nothing but a list of objects,
    each is a row. A list of numbers is a column for each, with its place in the name; a box is
    `x0`, `y0`, `x1`, `y1`. Lists of lists, such as maps, are left out.
    """
    row = dict(_cells(document))
    lists: list[Any] = [value for value in document.values() if _is_list_of_objects(value)]
    if row or not lists:
        yield row
        return
    for item in lists[0]:
        yield dict(_cells(item))


def _cells(document: Mapping[str, object]) -> Iterator[tuple[str, Cell]]:
    for key, value in document.items():
        if value is None or isinstance(value, str | int | float | bool):
            yield key, value
        elif isinstance(value, Mapping):
            for name, cell in _cells(value):
                yield f"{key}.{name}", cell
        elif isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value):
            box = key == "box" and len(value) == len(_CORNERS)
            names = _CORNERS if box else tuple(f"{key}_{place}" for place in range(len(value)))
            yield from zip(names, value, strict=True)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)
