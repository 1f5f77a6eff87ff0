"""Contrast-limited adaptive histogram equalisation."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple, TypeVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.borders import extend
from edgeprep.stages.formulas.histogram import accumulate
from edgeprep.stages.levels import change_luma, need_luma
from edgeprep.tensors import ImageSpec

__all__ = ["Clahe"]

T = TypeVar("T")

Tiles = Annotated[int, Meta(ge=1, le=32)]
# No level can have more than 256 times the mean count, so that this clips nothing.
ClipLimit = Annotated[float, Meta(gt=0, le=256)]

LEVELS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Clahe(Stage):
    """Equalise each tile of a grid, with limited contrast, and blend between the tiles.

    Colour pictures are equalised in brightness, Y of YCrCb or L of Lab; their colours stay.
    Values that are not whole are rounded first, halves up; whole levels come out. Pictures that
    the grid does not divide are mirrored at the right and at the bottom for the histograms.

    Attributes:
        clip: how often a level may occur in a tile before the rest is spread over all levels, in
            units of the mean count; above 0, 256 at most, which limits nothing.
        grid: `(rows, columns)` of tiles, at most 32 each.

    Source: grey is equal to OpenCV's `createCLAHE(clip, (columns, rows))` in every pixel; colour
    is within 2 levels of OpenCV's way to YCrCb and back (tests/stages/test_clahe.py).
    """

    name: ClassVar[str] = "clahe"
    looks_everywhere: ClassVar[bool] = True

    clip: ClipLimit = 2.0
    grid: tuple[Tiles, Tiles] = (8, 8)

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in float32."""
        need_luma(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape, float32."""
        return change_luma(F, x, image, lambda levels: self._equalized(F, levels))

    def _equalized(self, F: Primitives[T], levels: T) -> T:
        batch, height, width, _ = F.shape(levels)
        rows, columns = self.grid
        extended = _extended(F, levels, self.grid)
        _, tall, wide, _ = F.shape(extended)
        tiles = F.reshape(extended, (batch, rows, tall // rows, columns, wide // columns))
        pixels = (tall // rows) * (wide // columns)
        tiles = F.reshape(F.transpose(tiles, (0, 1, 3, 2, 4)), (batch * rows * columns, pixels))
        tables = F.reshape(self._tables(F, tiles), (batch, rows * columns * LEVELS))
        vertical = _between(height, tall // rows, rows)
        horizontal = _between(width, wide // columns, columns)
        # Where the tables of each tile begin: rows of tiles, and tiles within a row.
        upper, lower = (
            F.add(levels, (tile * columns * LEVELS)[:, None, None])
            for tile in (vertical.first, vertical.second)
        )
        left, right = ((tile * LEVELS)[:, None] for tile in (horizontal.first, horizontal.second))

        def across(row: T) -> T:
            first, second = (F.lookup(tables, F.add(row, start)) for start in (left, right))
            return _blend(F, first, second, horizontal.weight[:, None])

        blended = _blend(F, across(upper), across(lower), vertical.weight[:, None, None])
        return F.clip(F.round(blended), 0.0, 255.0)

    def _tables(self, F: Primitives[T], tiles: T) -> T:
        """`(tiles, pixels)` to the new level of each level, `(tiles, 256)`."""
        _, pixels = F.shape(tiles)
        limit = float(max(int(self.clip * pixels / LEVELS), 1))
        counts = F.histogram(tiles)
        clipped = F.minimum(counts, limit)
        excess = F.reduce_sum(F.subtract(counts, clipped), (1,))
        share = F.floor(F.multiply(excess, 1 / LEVELS))
        left = F.subtract(excess, F.multiply(share, float(LEVELS)))
        counts = F.add(F.add(clipped, share), _one_more(F, counts, left))
        scale = np.float32(255) / np.float32(pixels)
        return F.minimum(F.round(F.multiply(accumulate(F, counts), float(scale))), 255.0)


class Between(NamedTuple):
    """For each pixel the two tiles whose centres it lies between, and the second one's weight."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    weight: NDArray[np.float32]


def _extended(F: Primitives[T], levels: T, grid: tuple[int, int]) -> T:
    _, height, width, _ = F.shape(levels)
    over = height % grid[0], width % grid[1]
    if over == (0, 0):
        return levels
    # NOTE: where one side alone is not divided, OpenCV adds a whole multiple to the other one too.
    for axis in (1, 2):
        levels = extend(F, levels, axis, 0, grid[axis - 1] - over[axis - 1], "reflect")
    return levels


def _one_more(F: Primitives[T], counts: T, left: T) -> T:
    """1 for the levels, evenly spaced from the first, that get one of those left over, else 0."""
    levels = F.add(F.multiply(counts, 0.0), np.arange(LEVELS, dtype=np.float32))
    # Whole quotients: a half more above the line keeps all of them away from the next number.
    above = F.add(F.multiply(left, 0.0), LEVELS + 0.5)
    spacing = F.maximum(F.floor(F.divide(above, F.maximum(left, 1.0))), 1.0)
    turn = F.floor(F.divide(F.add(levels, 0.5), spacing))
    is_turn = F.equal(levels, F.multiply(turn, spacing))
    return F.multiply(is_turn, F.greater(F.add(F.multiply(turn, -1.0), left), 0.0))


def _between(length: int, tile: int, tiles: int) -> Between:
    # In float32 step by step, as OpenCV does it.
    position = np.arange(length, dtype=np.float32) * (np.float32(1) / np.float32(tile))
    position -= np.float32(0.5)
    first = np.floor(position)
    weight = position - first
    return Between(np.maximum(first, 0), np.minimum(first + 1, tiles - 1), weight)


def _blend(F: Primitives[T], first: T, second: T, weight: NDArray[np.float32]) -> T:
    # NOTE: no part is negative; the maximum keeps engines from making one rounding of two.
    part = F.maximum(F.multiply(first, np.float32(1) - weight), 0.0)
    return F.add(part, F.maximum(F.multiply(second, weight), 0.0))
