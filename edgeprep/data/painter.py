"""Masks of the values, or colours, in picture files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError
from edgeprep.pictures import read_picture, read_values
from edgeprep.truths import IGNORED

__all__ = ["Painter"]


@dataclass(frozen=True, slots=True)
class Painter:
    """Masks of the values, or colours, in picture files.

    Attributes:
        number_of: the class of a value, or of a colour as 0xRRGGBB, at a place that it names in
            messages; None where no class is asked for.
        where: the path of the key in the recipe, for messages.
        colours: the values that colours, as 0xRRGGBB, stand for in files that have no values; none
            where there is no such rule.
        known: the classes of what was met already.
    """

    number_of: Callable[[int, str], int | None]
    where: str
    colours: Mapping[int, int] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)

    def of_values(self, path: Path, name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask of the values that the file at `path` stores.

        Raises:
            InputError: it is no whole picture.
            StorageError: it cannot be read.
            DataError: a value has no class, or there are colours that stand for none.
        """
        values = read_values(path)
        if values.ndim == 3:
            if self.colours:
                return self._paint(self._values(values, name), name)
            wrong = np.argwhere((values != values[..., :1]).any(axis=2))
            if len(wrong):
                colour = tuple(values[*wrong[0]].tolist())
                rule = "must be of a palette or in grey where classes are values"
                remedy = "'mask-folder' reads colours that classes name"
                raise DataError(f"{self.where}: {name}: {rule}, got the colour {colour}; {remedy}")
            values = values[..., 0]
        return self._paint(values.astype(np.int64), name)

    def of_colours(self, path: Path, name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask of the colours that the file at `path` shows.

        Raises: as `of_values`.
        """
        return self._paint(_numbers(read_picture(path)), name)

    def _values(self, pixels: NDArray[Any], name: str) -> NDArray[np.int64]:
        """What the colours `(H, W, 3)` stand for, `(H, W)`."""
        numbers = _numbers(pixels)
        found, places = np.unique(numbers, return_inverse=True)
        unknown = next((each for each in found.tolist() if each not in self.colours), None)
        if unknown is not None:
            y, x = np.argwhere(numbers == unknown)[0]
            place = f"{self.where}: {name}, row {y}, column {x}"
            rule = "must be a colour that stands for a value"
            remedy = "'mask-folder' reads colours that classes name"
            raise DataError(f"{place}: {rule}, got {tuple(pixels[y, x].tolist())}; {remedy}")
        values = np.array([self.colours[each] for each in found.tolist()], np.int64)
        return values[places].reshape(numbers.shape)

    def _paint(self, values: NDArray[Any], name: str) -> NDArray[np.uint8]:
        found, places = np.unique(values, return_inverse=True)
        for value in found.tolist():
            if value not in self.known:
                y, x = np.argwhere(values == value)[0]
                number = self.number_of(value, f"{self.where}: {name}, row {y}, column {x}:")
                self.known[value] = IGNORED if number is None else number
        classes = np.array([self.known[value] for value in found.tolist()], np.uint8)
        return classes[places].reshape(values.shape)


def _numbers(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """Colours `(H, W, 3)` as 0xRRGGBB."""
    return np.asarray(pixels.astype(np.int64) @ [1 << 16, 1 << 8, 1])
