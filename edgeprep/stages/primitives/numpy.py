"""The primitives over numpy arrays: the float32 reference, and all that a device needs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import DType

__all__ = ["NumpyPrimitives"]

Array = NDArray[Any]


class NumpyPrimitives:
    """`F` over arrays; see `edgeprep.interfaces.Primitives` for what each operation means."""

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
        product: Array = np.matmul(a, b)
        return product

    def add(self, a: Array, b: Array | float) -> Array:
        """The sum."""
        return a + b

    def multiply(self, a: Array, b: Array | float) -> Array:
        """The product."""
        return a * b

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Values held between two bounds."""
        return np.clip(x, low, high)

    def floor(self, x: Array) -> Array:
        """The whole numbers below."""
        return np.floor(x)

    def resize_linear(self, x: Array, height: int, width: int) -> Array:
        """Half-pixel bilinear: rows, then columns."""
        for axis, length in ((1, height), (2, width)):
            low, high, weight = _neighbours(x.shape[axis], length)
            weight = weight.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
            # Take before the cast: only the rows and columns that are needed become float32.
            first = x.take(low, axis).astype(np.float32, copy=False)
            difference = x.take(high, axis).astype(np.float32, copy=False)
            difference -= first
            difference *= weight
            difference += first
            x = difference
        return x


@lru_cache(maxsize=64)
def _neighbours(
    length_in: int, length_out: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each output the two inputs beside its centre, and the weight of the second."""
    centre = (np.arange(length_out) + 0.5) * (length_in / length_out) - 0.5
    centre = np.clip(centre, 0, length_in - 1)
    low = np.floor(centre).astype(np.int64)
    high = np.minimum(low + 1, length_in - 1)
    return low, high, (centre - low).astype(np.float32)
