"""Masks of the values, or colours, in picture files."""

from collections.abc import Callable
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
        known: the classes of what was met already.
    """

    number_of: Callable[[int, str], int | None]
    where: str
    known: dict[int, int] = field(default_factory=dict)

    def of_values(self, path: Path, name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask of the values that the file at `path` stores.

        Raises:
            InputError: it is no whole picture.
            StorageError: it cannot be read.
            DataError: a value has no class, or there are colours.
        """
        values = read_values(path)
        if values.ndim == 3:
            if (values != values[..., :1]).any():
                rule = "must be of a palette or in grey where classes are values, got colours"
                remedy = "'mask-folder' reads colours that classes name"
                raise DataError(f"{self.where}: {name}: {rule}; {remedy}")
            values = values[..., 0]
        return self._paint(values.astype(np.int64), name)

    def of_colours(self, path: Path, name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask of the colours that the file at `path` shows.

        Raises: as `of_values`.
        """
        return self._paint(read_picture(path).astype(np.int64) @ [1 << 16, 1 << 8, 1], name)

    def _paint(self, values: NDArray[Any], name: str) -> NDArray[np.uint8]:
        found, places = np.unique(values, return_inverse=True)
        for value in found.tolist():
            if value not in self.known:
                y, x = np.argwhere(values == value)[0]
                number = self.number_of(value, f"{self.where}: {name}, row {y}, column {x}:")
                self.known[value] = IGNORED if number is None else number
        classes = np.array([self.known[value] for value in found.tolist()], np.uint8)
        return classes[places].reshape(values.shape)
