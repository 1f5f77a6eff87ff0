"""The primitives over numpy arrays: the float32 reference, and all that a device needs."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Network, Stage
from edgeprep.stages.formulas.resample import Bands, Kernel, bands
from edgeprep.tensors import DType, ImageSpec

__all__ = ["NumpyPrimitives"]

Array = NDArray[Any]

# Rows of the result made at a time: little enough to stay in the processor's cache, and below the
# size from which the allocator hands memory back and the kernel clears it again for every picture.
CHUNK = 32
# OpenBLAS computes products of up to so many multiplications in the calling thread. Its other
# threads are no gain here, and 20 times slower where the cores have something else to do.
ONE_THREAD = 2**18
# Products of fewer columns at a time would be slower than what is gained.
LEAST_COLUMNS = 16
# Numbers that a filter works on at a time: what it makes of them stays in the cache.
STRIP = 2**17


class NumpyPrimitives:
    """`F` over arrays; see `edgeprep.interfaces.Primitives` for what each operation means."""

    level_type: DType = "uint8"

    def run(self, stage: Stage, x: Array, image: ImageSpec) -> Array:
        """One stage of a host's chain; no primitive."""
        return stage.apply(self, x, image)

    def shape(self, x: Array) -> tuple[int, ...]:
        """The length of every axis."""
        return x.shape

    def cast(self, x: Array, dtype: DType) -> Array:
        """Another element type."""
        return x.astype(dtype, copy=False)

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        """Another shape."""
        return x.reshape(tuple(shape))

    def transpose(self, x: Array, axes: Sequence[int]) -> Array:
        """Another order of axes."""
        return x.transpose(tuple(axes))

    def slice(self, x: Array, axis: int, start: int, stop: int) -> Array:
        """A part of one axis."""
        return x[(slice(None),) * axis + (slice(start, stop),)]

    def reverse(self, x: Array, axis: int) -> Array:
        """One axis back to front."""
        return x[(slice(None),) * axis + (slice(None, None, -1),)]

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        """Arrays one after the other."""
        return np.concatenate(list(parts), axis)

    def gather(self, x: Array, axis: int, indices: NDArray[np.int64]) -> Array:
        """Chosen elements of one axis."""
        return x.take(indices, axis)

    def pad(self, x: Array, axis: int, before: int, after: int, value: int) -> Array:
        """A border of one value."""
        borders = [(0, 0)] * x.ndim
        borders[axis] = (before, after)
        return np.pad(x, borders, constant_values=value)

    def matmul(self, a: Array, b: Array) -> Array:
        """The matrix product."""
        if a.shape[-2] * b.shape[-2] > ONE_THREAD // LEAST_COLUMNS or a.dtype != b.dtype:
            return np.asarray(np.matmul(a, b))
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        product = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
        for part in _parts(b.shape[-1], a.shape[-2] * b.shape[-2]):
            np.matmul(a, b[..., part], out=product[..., part])
        return product

    def add(self, a: Array, b: Array | float) -> Array:
        """The sum."""
        return a + b

    def subtract(self, a: Array, b: Array | float) -> Array:
        """The difference."""
        return a - b

    def multiply(self, a: Array, b: Array | float) -> Array:
        """The product."""
        return a * b

    def scale_channels(
        self, x: Array, factor: NDArray[np.float32], offset: NDArray[np.float32]
    ) -> Array:
        """Plane by plane: channels that are few and last are slow to broadcast along."""
        batch, height, width, channels = x.shape
        # Channels come first in memory, as networks take them.
        planes = np.empty((batch, channels, height, width), np.float32)
        for picture, target in zip(x, planes, strict=True):
            for channel, plane in enumerate(self.split(picture)):
                np.multiply(plane, factor[channel], out=target[channel])
                target[channel] += offset[channel]
        return planes.transpose(0, 2, 3, 1)

    def split(self, picture: Array) -> Sequence[Array]:
        """The channels of `(H, W, C)` one by one; no primitive."""
        return [picture[..., channel] for channel in range(picture.shape[2])]

    def divide(self, a: Array, b: Array) -> Array:
        """The quotient."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return a / b

    def minimum(self, a: Array, b: Array | float) -> Array:
        """The lesser of each pair."""
        return np.minimum(a, b)

    def maximum(self, a: Array, b: Array | float) -> Array:
        """The greater of each pair."""
        return np.maximum(a, b)

    def greater(self, a: Array, b: Array | float) -> Array:
        """1 where the first is greater."""
        return np.greater(a, b).astype(np.float32)

    def equal(self, a: Array, b: Array | float) -> Array:
        """1 where both are equal."""
        return np.equal(a, b).astype(np.float32)

    def select(self, mask: Array, a: Array, b: Array) -> Array:
        """One or the other."""
        return np.where(mask > 0.5, a, b)

    def absolute(self, x: Array) -> Array:
        """Without signs."""
        return np.abs(x)

    def sqrt(self, x: Array) -> Array:
        """Square roots."""
        return np.sqrt(x)

    def exp(self, x: Array) -> Array:
        """Powers of e."""
        return np.exp(x)

    def power(self, x: Array, exponent: float) -> Array:
        """Powers of the elements."""
        return np.power(x, np.float32(exponent))

    def reduce_sum(self, x: Array, axes: Sequence[int]) -> Array:
        """Sums."""
        return np.asarray(x.sum(axis=tuple(axes), keepdims=True))

    def reduce_min(self, x: Array, axes: Sequence[int]) -> Array:
        """Minima."""
        return np.asarray(x.min(axis=tuple(axes), keepdims=True))

    def reduce_max(self, x: Array, axes: Sequence[int]) -> Array:
        """Maxima."""
        return np.asarray(x.max(axis=tuple(axes), keepdims=True))

    def lookup(self, tables: Array, indices: Array) -> Array:
        """Elements of one table for each picture."""
        positions = indices.astype(np.intp)
        return np.stack([table[each] for table, each in zip(tables, positions, strict=True)])

    def histogram(self, x: Array) -> Array:
        """How often each level occurs."""
        counts = [np.bincount(row, minlength=256) for row in x.astype(np.intp)]
        return np.stack(counts).astype(np.float32)

    def ranked(self, x: Array, rank: int) -> Array:
        """One level in order."""
        counts = np.cumsum(self.histogram(x), axis=1)
        return np.asarray((counts < rank).sum(axis=1, keepdims=True, dtype=np.float32))

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Values held between two bounds."""
        return np.clip(x, low, high)

    def floor(self, x: Array) -> Array:
        """The whole numbers below."""
        return np.floor(x)

    def round(self, x: Array) -> Array:
        """The nearest whole numbers."""
        return np.rint(x)

    def grow(self, seeds: Array, within: Array, steps: int) -> Array:
        """What is connected, in as many steps as are needed."""
        return np.stack(
            [_grow(*each, steps) for each in zip(seeds > 0.5, within > 0.5, strict=True)]
        ).astype(np.float32)

    def by_strips(self, x: Array, overlap: int, of: Callable[[Array], Array]) -> Array:
        """A few rows at a time, so that what lies between stays in the processor's cache."""
        height = x.shape[1] - overlap
        # Strips of fewer rows would look at most rows twice.
        rows = max(STRIP // max(x[:, :1].size, 1), 4 * overlap, 1)
        count = -(-height // rows)
        bounds = [height * index // count for index in range(count + 1)]
        strips = [of(x[:, start : stop + overlap]) for start, stop in pairwise(bounds)]
        return strips[0] if count == 1 else np.concatenate(strips, 1)

    def network(self, x: Array, network: Network) -> Array:
        """By the engine that the device has."""
        return network.run(x)

    def resize_linear(self, x: Array, height: int, width: int) -> Array:
        """Half-pixel bilinear: rows, then columns."""
        if x.strides[3] < 0:  # colours were swapped, which costs less of what is small
            return self.reverse(self.resize_linear(self.reverse(x, 3), height, width), 3)
        if x.strides[3] > x.strides[2]:  # one channel after the other, of which pixels are slow
            x = np.ascontiguousarray(x)
        batch, height_in, width_in, channels = x.shape
        rows, columns = _neighbours(height_in, height), _neighbours(width_in, width)
        result = np.empty((batch, height, width, channels), np.float32)
        for picture, target in zip(x, result, strict=True):
            for start in range(0, height, CHUNK):
                chunk = slice(start, start + CHUNK)
                few = Neighbours(rows.low[chunk], rows.high[chunk], rows.weight[chunk])
                target[chunk] = _interpolate(_interpolate(picture, 0, few), 1, columns)
        return result

    def resample(self, x: Array, axis: int, length: int, kernel: Kernel) -> Array:
        """Antialiased bilinear or area along one axis."""
        if x.strides[3] < 0:  # likewise
            return self.reverse(self.resample(self.reverse(x, 3), axis, length, kernel), 3)
        matrix = bands(x.shape[axis], length, kernel)
        return _resample_rows(x, matrix) if axis == 1 else _resample_columns(x, matrix)


def _grow(seeds: Array, within: Array, steps: int) -> Array:
    # A border that nothing is within, so that views of the three rows or columns need no care.
    reached, allowed = np.pad(seeds, 1), np.pad(within, 1)
    across = np.zeros_like(reached)
    for _ in range(steps):
        before = np.count_nonzero(reached)
        np.logical_or(reached[:, :-2], reached[:, 2:], out=across[:, 1:-1])
        across |= reached
        reached[1:-1] |= across[:-2]
        reached[1:-1] |= across[1:-1]
        reached[1:-1] |= across[2:]
        reached &= allowed
        if np.count_nonzero(reached) == before:
            break
    return reached[1:-1, 1:-1]


class Neighbours(NamedTuple):
    """For each output the two inputs beside its centre, and the weight of the second."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.float32]


@lru_cache(maxsize=64)
def _neighbours(length_in: int, length_out: int) -> Neighbours:
    centre = (np.arange(length_out) + 0.5) * (length_in / length_out) - 0.5
    centre = np.clip(centre, 0, length_in - 1)
    low = np.floor(centre).astype(np.int64)
    high = np.minimum(low + 1, length_in - 1)
    return Neighbours(low, high, (centre - low).astype(np.float32))


def _interpolate(picture: Array, axis: int, neighbours: Neighbours) -> Array:
    # Take before the cast: only the rows and columns that are needed become float32.
    first = picture.take(neighbours.low, axis).astype(np.float32, copy=False)
    result: Array = picture.take(neighbours.high, axis).astype(np.float32, copy=False)
    result -= first
    result *= neighbours.weight.reshape((-1, 1, 1)[: 3 - axis])
    result += first
    return result


def _resample_rows(x: Array, matrix: Bands) -> Array:
    batch, _, width, channels = x.shape
    blocks, rows, run = matrix.weights.shape
    across = width * channels
    result = np.empty((batch, blocks * rows, across), np.float32)
    # One run of rows at a time is cast, so that it stays in the processor's cache.
    inputs = np.empty((run, width, channels), np.float32)
    lines = inputs.reshape(run, across)
    for picture, target in zip(x, result, strict=True):
        for block, start in enumerate(matrix.starts):
            inputs[:] = picture[start : start + run]
            outputs = target[block * rows : (block + 1) * rows]
            for part in _parts(across, rows * run):
                np.matmul(matrix.weights[block], lines[:, part], out=outputs[:, part])
    return result.reshape(batch, -1, width, channels)[:, : matrix.length]


def _resample_columns(x: Array, matrix: Bands) -> Array:
    batch, height, _, channels = x.shape
    lines = np.ascontiguousarray(x, np.float32).reshape(batch * height, -1)
    weights = _interleaved(matrix, channels)
    blocks, run, columns = weights.shape
    result = np.empty((batch * height, blocks * columns), np.float32)
    for block, start in enumerate(matrix.starts * channels):
        outputs = result[:, block * columns : (block + 1) * columns]
        for part in _parts(batch * height, run * columns):
            np.matmul(lines[part, start : start + run], weights[block], out=outputs[part])
    return result.reshape(batch, height, -1, channels)[:, :, : matrix.length]


def _parts(length: int, cost: int) -> list[slice]:
    """`length` in parts whose matrix products, of `cost` each, stay in one thread."""
    step = max(ONE_THREAD // cost, 1)
    return [slice(start, start + step) for start in range(0, length, step)]


@lru_cache(maxsize=16)
def _interleaved(matrix: Bands, channels: int) -> NDArray[np.float32]:
    """The transposed blocks of `matrix` for lines whose channels are interleaved.

    Two products in three are with zeros, which costs less than to turn the picture and back.
    """
    each_channel = np.eye(channels, dtype=np.float32)
    return np.stack([np.kron(block.T, each_channel) for block in matrix.weights])
