"""The boxes that a detector starts from: one or more in every cell of one or more grids."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

__all__ = ["Priors"]

Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Boxes in every cell of grids, one grid after the other, row by row.

    Attributes:
        strides: the side of a cell of each grid, in pixels of the network's picture.
        sizes: for each grid, the sides of its squares in pixels; where none are given, a cell.
        ratios: for each grid, width over height of what each square becomes, at the same area.
        offset: where in its cell a box has its centre, in cells.
    """

    strides: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1)]
    sizes: tuple[Annotated[tuple[Positive, ...], Meta(min_length=1)], ...] = ()
    ratios: tuple[Annotated[tuple[Positive, ...], Meta(min_length=1)], ...] = ()
    offset: float = 0.5

    def __post_init__(self) -> None:
        for name, given in (("sizes", self.sizes), ("ratios", self.ratios)):
            if given and len(given) != len(self.strides):
                rule = f"must have one list for each of the {len(self.strides)} strides"
                raise ValueError(f"{name}: {rule}, got {len(given)}")

    def boxes(self, height: int, width: int) -> NDArray[np.float32]:
        """`(priors, 5)`: x and y of the centre, width and height in pixels, and the stride.

        Args:
            height: of the network's picture, in pixels.
            width: likewise.
        """
        return _boxes(self, height, width)


@lru_cache(maxsize=8)
def _boxes(priors: Priors, height: int, width: int) -> NDArray[np.float32]:
    parts = []
    for level, stride in enumerate(priors.strides):
        sizes = priors.sizes[level] if priors.sizes else (float(stride),)
        ratios = priors.ratios[level] if priors.ratios else (1.0,)
        sides = [(size * ratio**0.5, size / ratio**0.5) for size, ratio in product(sizes, ratios)]
        rows, columns = -(-height // stride), -(-width // stride)
        grid = np.empty((rows, columns, len(sides), 5), np.float32)
        grid[..., 0] = ((np.arange(columns) + priors.offset) * stride)[None, :, None]
        grid[..., 1] = ((np.arange(rows) + priors.offset) * stride)[:, None, None]
        grid[..., 2:4] = sides
        grid[..., 4] = stride
        parts.append(grid.reshape(-1, 5))
    boxes = np.concatenate(parts)
    boxes.flags.writeable = False
    return boxes
