"""A picture as tiles that lie over each other, and what a network makes of each, joined again."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import ShapeError

__all__ = ["Mosaic"]

Maps = NDArray[np.float32]


class Mosaic(NamedTuple):
    """How tiles of one size lie over a picture of another.

    Of the `overlap` pixels that neighbours share, a quarter at each edge is left out, which a
    network that looks around a pixel knows too little of; over the half between them one tile
    fades into the next. So there is no seam where a network looks no farther than that quarter.
    Beyond the edges of the picture tiles show its reflection.

    Attributes:
        size: the height and width of the picture, in pixels.
        tile: those of a tile.
        overlap: at most half of a tile, either way.
        scale: how many times as large as its tile is what the network makes of it.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    overlap: int
    scale: int = 1

    def bands(
        self, picture: NDArray[np.uint8], run: Callable[[NDArray[np.uint8]], Maps]
    ) -> Iterator[Maps]:
        """What `run` makes of the tiles of `picture`, joined: see `tiles` and `join`."""
        return self.join(map(run, self.tiles(picture)))

    def tiles(self, picture: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """The tiles from left to right, row by row: `(height, width, C)`, contiguous.

        Args:
            picture: `(H, W, C)`, of `size`.
        """
        rows, columns = self._axes
        for row in range(rows.tiles):
            strip = picture[rows.sources(row)]
            for column in range(columns.tiles):
                yield np.ascontiguousarray(strip[:, columns.sources(column)])

    def join(self, results: Iterable[Maps]) -> Iterator[Maps]:
        """The joined result from top to bottom, as many rows at once as a row of tiles gives.

        Args:
            results: what the network makes of each of `tiles`, in their order: `(maps, h, w)`,
                `scale` times as high and wide. Each is asked for when it is needed.

        Yields:
            `(maps, rows, W · scale)`, float32; all rows together are `H · scale`. No more than
            such a band is held.

        Raises:
            ShapeError: a result is of another size.
        """
        rows, _ = self._axes
        each = iter(results)
        left = self.size[0] * self.scale
        faded: Maps | None = None
        for row in range(rows.tiles):
            band = self._band(each)
            if faded is not None and faded.shape[1]:
                band[:, : faded.shape[1]] = _fade(faded, band[:, : faded.shape[1]], 1)
            last = row == rows.tiles - 1
            ready = left if last else rows.stride * self.scale
            faded = band[:, ready:].copy()
            yield band[:, :ready]
            left -= ready

    def _band(self, results: Iterator[Maps]) -> Maps:
        """What the network makes of one row of tiles, joined: `(maps, rows, W · scale)`."""
        rows, columns = self._axes
        scale, fade = self.scale, columns.fade * self.scale
        joined: Maps | None = None
        for column in range(columns.tiles):
            maps = self._checked(next(results))
            inner = maps[:, rows.within(scale), columns.within(scale)]
            if joined is None:
                shape = (*inner.shape[:2], columns.covered * scale)
                joined = np.empty(shape, np.float32)
                joined[:, :, : inner.shape[2]] = inner
                continue
            at = column * columns.stride * scale
            before = joined[:, :, at : at + fade]
            joined[:, :, at : at + fade] = _fade(before, inner[:, :, :fade], 2)
            joined[:, :, at + fade : at + inner.shape[2]] = inner[:, :, fade:]
        assert joined is not None  # noqa: S101 -- there is always a tile
        return joined[:, :, : self.size[1] * scale]

    def _checked(self, maps: Maps) -> Maps:
        wanted = [length * self.scale for length in self.tile]
        if list(maps.shape[1:]) != wanted:
            rule = f"must be {wanted} pixels, task.scale times those of a tile"
            raise ShapeError(f"output: {rule}, got {list(maps.shape[1:])}")
        return np.asarray(maps, np.float32)

    @property
    def _axes(self) -> tuple["_Axis", "_Axis"]:
        rows, columns = (_Axis(*each, self.overlap) for each in zip(self.size, self.tile))  # noqa: B905
        return rows, columns


class _Axis(NamedTuple):
    """How tiles lie along one axis."""

    length: int
    size: int
    overlap: int

    @property
    def margin(self) -> int:
        """What is left out of a tile at either end."""
        return self.overlap // 4

    @property
    def fade(self) -> int:
        """What two neighbours have in common of what is left."""
        return self.overlap - 2 * self.margin

    @property
    def stride(self) -> int:
        return self.size - self.overlap

    @property
    def tiles(self) -> int:
        inner = self.size - 2 * self.margin
        return 1 + max(0, -(-(self.length - inner) // self.stride))

    @property
    def covered(self) -> int:
        """How far the tiles reach, from the length on."""
        return (self.tiles - 1) * self.stride + self.size - 2 * self.margin

    def sources(self, tile: int) -> NDArray[np.intp]:
        """The pixels of a tile, in the picture."""
        first = tile * self.stride - self.margin
        places = np.arange(first, first + self.size)
        # A reflection does not repeat the outermost pixel, as in `numpy.pad`.
        period = max(2 * (self.length - 1), 1)
        places = np.mod(places, period)
        return np.asarray(np.minimum(places, period - places) % self.length, np.intp)

    def within(self, scale: int) -> slice:
        """What counts of what the network makes of a tile."""
        return slice(self.margin * scale, (self.size - self.margin) * scale)


def _fade(before: NDArray[Any], after: NDArray[Any], axis: int) -> NDArray[Any]:
    """From `before` to `after` along `axis`, evenly."""
    count = before.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = count
    share = ((np.arange(count, dtype=np.float32) + 0.5) / max(count, 1)).reshape(shape)
    # NOTE: not a weighted sum, whose weights add to 1 up to rounding alone.
    return np.asarray(before + (after - before) * share)
