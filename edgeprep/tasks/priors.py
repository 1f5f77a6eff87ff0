"""The boxes that a detector starts from: one or more in every cell of one or more grids."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

__all__ = ["Priors"]

Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Lengths = Annotated[tuple[Positive, ...], Meta(min_length=1)]
Sides = Annotated[tuple[tuple[Positive, Positive], ...], Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Boxes in every cell of grids, one grid after the other, row by row.

    Attributes:
        strides: the side of a cell of each grid, in pixels of the network's picture, beyond which
            the last cells may reach.
        cells: for each grid, how many rows and columns of cells the picture is divided into;
            instead of strides.
        boxes: for each grid, the width and height in pixels of the boxes that every cell has;
            instead of sizes and ratios.
        sizes: for each grid, the sides of its squares in pixels; where none are given, a cell.
        ratios: for each grid, width over height of what each square becomes, at the same area.
        offset: where in its cell a box has its centre, in cells.
    """

    strides: tuple[Count, ...] = ()
    cells: tuple[tuple[Count, Count], ...] = ()
    boxes: tuple[Sides, ...] = ()
    sizes: tuple[Lengths, ...] = ()
    ratios: tuple[Lengths, ...] = ()
    offset: float = 0.5

    def __post_init__(self) -> None:
        if bool(self.strides) == bool(self.cells):
            got = "both" if self.strides else "none"
            raise ValueError(f"strides: must be given, or cells instead, got {got}")
        grids, name = len(self.strides or self.cells), "strides" if self.strides else "cells"
        each = {"boxes": self.boxes, "sizes": self.sizes, "ratios": self.ratios}
        for key, given in each.items():
            if given and len(given) != grids:
                rule = f"must have one list for each of the {grids} {name}"
                raise ValueError(f"{key}: {rule}, got {len(given)}")
        if self.boxes and (self.sizes or self.ratios):
            key = "sizes" if self.sizes else "ratios"
            raise ValueError(f"{key}: must be absent where boxes are given, got some")

    def starts(self, height: int, width: int) -> NDArray[np.float32]:
        """`(priors, 6)` in pixels: x and y of the centre; width and height; those of a cell.

        Args:
            height: of the network's picture, in pixels.
            width: likewise.
        """
        return _starts(self, height, width)

    def grids(self, height: int, width: int) -> Iterator[tuple[int, int, float, float]]:
        """Of each grid the rows and columns, and the height and width of a cell in pixels."""
        for stride in self.strides:
            yield -(-height // stride), -(-width // stride), float(stride), float(stride)
        for rows, columns in self.cells:
            yield rows, columns, height / rows, width / columns

    def sides(self, level: int, height: float, width: float) -> tuple[tuple[float, float], ...]:
        """The width and height of each box in a cell of a grid.

        Args:
            level: the number of the grid.
            height: of a cell, in pixels.
            width: likewise.
        """
        if self.boxes:
            return self.boxes[level]
        sizes = [(side, side) for side in self.sizes[level]] if self.sizes else [(width, height)]
        ratios = self.ratios[level] if self.ratios else (1.0,)
        roots = [ratio**0.5 for ratio in ratios]
        return tuple((across * root, down / root) for (across, down), root in product(sizes, roots))


@lru_cache(maxsize=8)
def _starts(priors: Priors, height: int, width: int) -> NDArray[np.float32]:
    parts = []
    for level, (rows, columns, down, across) in enumerate(priors.grids(height, width)):
        sides = priors.sides(level, down, across)
        grid = np.empty((rows, columns, len(sides), 6), np.float32)
        grid[..., 0] = ((np.arange(columns) + priors.offset) * across)[None, :, None]
        grid[..., 1] = ((np.arange(rows) + priors.offset) * down)[:, None, None]
        grid[..., 2:4] = sides
        grid[..., 4:] = across, down
        parts.append(grid.reshape(-1, 6))
    starts = np.concatenate(parts)
    starts.flags.writeable = False
    return starts
