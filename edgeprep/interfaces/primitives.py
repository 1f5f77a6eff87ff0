"""The operations that stages are written in, and what stages bring along to them."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import DType

__all__ = ["Network", "Primitives"]

T = TypeVar("T")


class Primitives(Protocol[T]):
    """The operations that stages are written in; `T` is an array, a torch tensor or a graph value.

    Every operation has a static shape and means the same in all interpreters. Values are uint8 or
    float32; arithmetic takes float32 on both sides. Where `NDArray` is accepted, a constant of the
    graph is meant.

    Attributes:
        level_type: uint8 or float32, in whichever whole levels in 0..255 are compared quickest.
    """

    level_type: DType

    def shape(self, x: T) -> tuple[int, ...]:
        """The length of every axis of `x`."""

    def cast(self, x: T, dtype: DType) -> T:
        """`x` as `dtype`; nothing is done where it is that already. Whole values only to uint8."""

    def reshape(self, x: T, shape: Sequence[int]) -> T:
        """The same elements in C order under another shape."""

    def transpose(self, x: T, axes: Sequence[int]) -> T:
        """Axis `i` of the result is axis `axes[i]` of `x`."""

    def slice(self, x: T, axis: int, start: int, stop: int) -> T:
        """The elements `start` to `stop - 1` along `axis`; both lie within the axis."""

    def reverse(self, x: T, axis: int) -> T:
        """`x` with `axis` back to front."""

    def concat(self, parts: Sequence[T], axis: int) -> T:
        """`parts`, of one dtype, one after the other along `axis`."""

    def gather(self, x: T, axis: int, indices: NDArray[np.int64]) -> T:
        """Element `i` along `axis` is element `indices[i]` of `x`; indices are not negative."""

    def pad(self, x: T, axis: int, before: int, after: int, value: int) -> T:
        """`x`, float32, with so many elements of `value` added before and after along `axis`."""

    def matmul(self, a: T | NDArray[np.float32], b: T | NDArray[np.float32]) -> T:
        """The matrix product over the last two axes; the axes before them broadcast."""

    def add(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a + b`, broadcast as in numpy; a constant has no more elements than `a`."""

    def subtract(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a - b`, broadcast likewise."""

    def multiply(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a * b`, broadcast likewise."""

    def scale_channels(self, x: T, factor: NDArray[np.float32], offset: NDArray[np.float32]) -> T:
        """`x * factor + offset`, rounded twice: `(N, H, W, C)`, uint8 or float32, to float32.

        `factor` and `offset` have C elements. For numpy, where this is twice as fast as its parts.
        """

    def divide(self, a: T, b: T) -> T:
        """`a / b`, broadcast likewise; where `b` is 0 the result is not to be used.

        OpenVINO may be one bit off; where a rounding follows, see `exact_quotient` in
        edgeprep.stages.formulas.division.
        """

    def minimum(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """The lesser of each pair, broadcast likewise; also of two of `level_type`."""

    def maximum(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """The greater of each pair, broadcast likewise; also of two of `level_type`."""

    def greater(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """1.0 where `a > b`, else 0.0; broadcast likewise."""

    def equal(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """1.0 where `a == b`, else 0.0; broadcast likewise. For whole values."""

    def select(self, mask: T, a: T, b: T) -> T:
        """`a` where `mask` is 1.0, `b` where it is 0.0; all three of one shape."""

    def absolute(self, x: T) -> T:
        """Each element without its sign."""

    def sqrt(self, x: T) -> T:
        """The square root of each element; none is negative."""

    def exp(self, x: T) -> T:
        """The exponential function of each element."""

    def power(self, x: T, exponent: float) -> T:
        """Each element to the power of a constant above 0; no element is negative."""

    def reduce_sum(self, x: T, axes: Sequence[int]) -> T:
        """The sum over `axes`, which stay with length 1."""

    def reduce_min(self, x: T, axes: Sequence[int]) -> T:
        """The least over `axes`, which stay with length 1."""

    def reduce_max(self, x: T, axes: Sequence[int]) -> T:
        """The greatest over `axes`, which stay with length 1."""

    def lookup(self, tables: T, indices: T) -> T:
        """Element `indices[n, …]` of row `n` of `tables`.

        Args:
            tables: `(N, L)`, float32.
            indices: `(N, …)`, float32, whole and in 0 to L - 1.
        """

    def histogram(self, x: T) -> T:
        """`(N, P)`, float32, whole values in 0..255, to how often each occurs: `(N, 256)`."""

    def ranked(self, x: T, rank: int) -> T:
        """`(N, P)`, float32, whole values in 0..255, to the `rank`-th least of each row: `(N, 1)`.

        1 is the least, P the greatest.
        """

    def clip(self, x: T, low: float, high: float) -> T:
        """`x`, float32, held between `low` and `high`."""

    def floor(self, x: T) -> T:
        """The greatest whole number that is not above each element."""

    def round(self, x: T) -> T:
        """The nearest whole number to each element; of two, the even one."""

    def grow(self, seeds: T, within: T, steps: int) -> T:
        """`(N, H, W)`, 1.0 or 0.0: `seeds`, and all of `within` that is at most `steps` from one.

        A step goes to any of the eight neighbours and stays within; seeds are within.
        """

    def by_strips(self, x: T, overlap: int, of: Callable[[T], T]) -> T:
        """`of(x)`, of which an interpreter may make a few rows at a time to need less memory.

        Args:
            x: `(N, H + overlap, …)`.
            overlap: how many more rows go in than come out.
            of: takes `(N, h + overlap, …)` to `(N, h, …)` for any h; row `i` of the result depends
                on rows `i` to `i + overlap` alone, and no matrix product is in it.
        """

    def resize_linear(self, x: T, height: int, width: int) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32.

        Two neighbours along each axis, pixel centres at half-integers, edges clamped.
        """

    def network(self, x: T, network: "Network") -> T:
        """The first output of `network`, float32, for uint8 `(N, H, W, C)` of its size.

        N is 1 in graphs.
        """

    def resample(
        self, x: T, axis: int, length: int, kernel: Literal["bilinear", "area", "bicubic"]
    ) -> T:
        """`(N, H, W, C)`, uint8 or float32, with `axis` 1 or 2 brought to `length`, float32.

        "bilinear" is antialiased: its triangle is as wide as the scale. "area" is the mean of what
        an output pixel covers. "bicubic" is antialiased too, with a = -0.5, and overshoots.
        """


class Network(Protocol):
    """A network that a stage brings along, as the interpreters take it."""

    @property
    def onnx(self) -> bytes:
        """An ONNX model: uint8 `(1, H, W, C)` to its outputs, of which the first counts."""

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """That output for `(N, H, W, C)`, one picture after the other."""
