"""Cut a picture into tiles for a network that is smaller, and join what it makes of them."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import limit_pixels, need_channels_last
from edgeprep.tensors import MOST_PIXELS, ImageSpec, Length

__all__ = ["Tile", "untile"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile(Stage):
    """Cut every picture into tiles, row by row, which go through the network as a batch.

    The network gets all tiles of a picture, `(T, C, height, width)`. The task `detect` takes the
    outputs of each, `(T, …)`; for all others the network has to make one answer of them. Where it
    makes a picture of each, it ends with the inverse,
    `untile(TorchPrimitives(), tiles, Tile(size=…), ImageSpec(height=…, width=…))` of
    edgeprep.stages.tile and edgeprep.stages.primitives.torch, with channels last.

    Attributes:
        size: `(height, width)` of a tile, in pixels.
        overlap: how many pixels neighbours share: `(rows, columns)`, or one number for both.
    """

    name: ClassVar[str] = "tile"

    size: tuple[Length, Length]
    # NOTE: bounds are checked below, see `Resize.size`.
    overlap: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        limit_pixels("size: must have", *self.size)
        for length, overlap in zip(self.size, self._overlaps, strict=True):
            if not 0 <= overlap < length:
                rule = f"must be at least 0 and below the tile's {list(self.size)!r} pixels"
                given = list(self.overlap) if isinstance(self.overlap, tuple) else self.overlap
                raise RecipeError(f"overlap: {rule}, got {given!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The tiles, a batch of pictures of the same type."""
        need_channels_last(image)
        if not image.is_fixed:
            rule = "needs pictures of one size, got a free size"
            raise RecipeError(f"{rule}; put a resize, or a pad with a size, before this stage")
        axes = self._axes(image)
        if not all(axis.fits for axis in axes):
            rule = f"needs pictures that tiles of {list(self.size)!r} pixels with overlap "
            rule += f"{list(self._overlaps)!r} cover exactly, got {list(image.size)!r}"
            raise RecipeError(f"{rule}; {_remedy(axes)}")
        count = axes[0].tiles * axes[1].tiles
        if count * self.size[0] * self.size[1] > MOST_PIXELS:
            rule = f"must make at most {MOST_PIXELS} pixels"
            got = f"{count} tiles of {list(self.size)!r}"
            raise RecipeError(f"{rule}, got {got}; use a smaller overlap")
        height, width = self.size
        return image.replace(height=height, width=width, batch=image.batch * count)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N · T, height, width, C)`, the same dtype.

        The T tiles of a picture are one after the other, row by row.
        """
        batch, _, across, channels = F.shape(x)
        rows, columns = self._axes(image)
        height, width = self.size
        x = F.gather(x, 1, rows.sources)
        x = F.reshape(x, (batch * rows.tiles, height, across, channels))
        x = F.gather(x, 2, columns.sources)
        x = F.reshape(x, (batch * rows.tiles, height, columns.tiles, width, channels))
        x = F.transpose(x, (0, 2, 1, 3, 4))
        return F.reshape(x, (batch * rows.tiles * columns.tiles, height, width, channels))

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The offset of each tile."""
        rows, columns = self._axes(image)
        corners = product(rows.starts, columns.starts)
        return tuple(Affine.scaled(1.0, 1.0, left, top) for top, left in corners)

    @property
    def _overlaps(self) -> tuple[int, int]:
        return self.overlap if isinstance(self.overlap, tuple) else (self.overlap, self.overlap)

    def _axes(self, image: ImageSpec) -> tuple["_Axis", "_Axis"]:
        rows, columns = map(_Axis, image.size, self.size, self._overlaps)
        return rows, columns


def untile(F: Primitives[T], tiles: T, stage: Tile, image: ImageSpec) -> T:
    """Join tiles, or what a network made of each; where they overlap, one fades into the next.

    Where tiles agree, so does the result, exactly; it has no seams.

    Args:
        F: an interpreter.
        tiles: `(N · T, height, width, C)`, T for each picture, uint8 or float32; of `stage`'s size,
            or each side stretched by a factor that leaves overlaps and pictures whole.
        stage: what made the tiles.
        image: the type of the pictures that it made them of.

    Returns:
        `(N, H, W, C)`, float32, stretched likewise.

    Raises:
        ShapeError: they are no such tiles.
    """
    total, height, width, channels = F.shape(tiles)
    rows, columns = (
        axis.stretched(length)
        for axis, length in zip(stage._axes(image), (height, width), strict=True)
    )
    batch, left = divmod(total, rows.tiles * columns.tiles)
    if left:
        rule = f"must be {rows.tiles} × {columns.tiles} for each picture"
        raise ShapeError(f"tiles: {rule}, got {total}")
    x = F.cast(tiles, "float32")
    x = F.reshape(x, (batch * rows.tiles, columns.tiles, height, width, channels))
    x = F.transpose(x, (0, 2, 1, 3, 4))
    x = F.reshape(x, (batch * rows.tiles, height, columns.tiles * width, channels))
    x = _join(F, x, 2, columns)
    x = F.reshape(x, (batch, rows.tiles * height, columns.length, channels))
    return _join(F, x, 1, rows)


class _Axis(NamedTuple):
    """How tiles lie along one axis of a picture."""

    length: int
    size: int
    overlap: int

    def stretched(self, size: int) -> "_Axis":
        """The same with tiles of another size.

        Raises:
            ShapeError: an overlap or the whole would end within a pixel.
        """
        if self.length * size % self.size or self.overlap * size % self.size:
            rule = f"must be {self.size} pixels, or leave an overlap of {self.overlap} whole"
            raise ShapeError(f"tiles: a side {rule}, got {size}")
        return _Axis(self.length * size // self.size, size, self.overlap * size // self.size)

    @property
    def stride(self) -> int:
        return self.size - self.overlap

    @property
    def fits(self) -> bool:
        return self.length >= self.size and (self.length - self.size) % self.stride == 0

    @property
    def tiles(self) -> int:
        return (self.length - self.size) // self.stride + 1

    @property
    def starts(self) -> range:
        return range(0, self.length - self.size + 1, self.stride)

    @property
    def sources(self) -> NDArray[np.int64]:
        """`(tiles · size,)`: the pixels of all tiles, one tile after the other."""
        return (np.array(self.starts)[:, None] + np.arange(self.size)).reshape(-1)

    @property
    def padded(self) -> int:
        """The least length from this one on that fits."""
        steps = -(-max(self.length - self.size, 0) // self.stride)
        return self.size + steps * self.stride

    @property
    def overlaps(self) -> list[int]:
        """The overlaps that fit, up to half a tile."""
        strides = range(-(-self.size // 2), self.size + 1)
        extra = self.length - self.size
        return [self.size - stride for stride in strides if extra >= 0 and extra % stride == 0]


def _remedy(axes: tuple[_Axis, _Axis]) -> str:
    pad = f"pad to {[axis.padded for axis in axes]!r} first"
    if not all(axis.overlaps for axis in axes):
        return pad
    nearest = [min(axis.overlaps, key=lambda fit: abs(fit - axis.overlap)) for axis in axes]
    return f"use overlap {nearest!r}, or {pad}"


def _join(F: Primitives[T], x: T, axis: int, along: _Axis) -> T:
    """Tiles that lie one after the other along `axis`, laid over each other there."""
    position = np.arange(along.length)
    first = np.maximum(-(-(position - along.size + 1) // along.stride), 0)
    last = np.minimum(position // along.stride, along.tiles - 1)
    shape = [1, 1, 1, 1]
    shape[axis] = along.length
    total = np.zeros(along.length)
    joined = None
    for nth in range(int((last - first).max()) + 1):
        tile = np.minimum(first + nth, last)
        within = position - tile * along.stride
        part = F.gather(x, axis, tile * along.size + within)
        # As far as the pixel is from the nearest edge of the tile, so that it fades out there.
        distance = np.minimum(within, along.size - 1 - within) + 0.5
        weight = np.where(first + nth <= last, distance, 0.0)
        total += weight
        if joined is None:
            joined = part
            continue
        # NOTE: not a weighted sum, whose weights add to 1 up to rounding alone.
        share = (weight / total).astype(np.float32).reshape(shape)
        joined = F.add(joined, F.multiply(F.subtract(part, joined), share))
    return x if joined is None else joined
