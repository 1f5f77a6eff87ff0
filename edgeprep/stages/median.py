"""Replace every pixel by the median of its neighbourhood."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.borders import extend
from edgeprep.stages.formulas.order import Line, SortingNetwork, merge, sort
from edgeprep.stages.levels import need_levels, whole_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Median"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Stage):
    """The median of each channel over a square; levels stay whole, edges stay sharp.

    Beyond the edge, the last pixel is repeated. Values that are not whole are rounded first, halves
    up. In graphs, 5 costs three to four times as much as 3.

    Attributes:
        size: the side of the square in pixels, 3 or 5.

    Source: equal to OpenCV's medianBlur of uint8 in every pixel and engine
    (tests/stages/test_median.py).
    """

    name: ClassVar[str] = "median"

    size: Literal[3, 5]

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32 with whole values."""
        need_levels(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        if image.dtype != "uint8":
            x = whole_levels(F, x, image)
        x = F.cast(x, F.level_type)
        radius = self.size // 2
        x = extend(F, x, 1, radius, radius, "replicate")
        x = extend(F, x, 2, radius, radius, "replicate")
        medians = F.by_strips(x, 2 * radius, lambda strip: self._medians(F, strip))
        return F.cast(medians, "float32")

    def _medians(self, F: Primitives[T], x: T) -> T:
        """The medians of all squares within `x`; those side by side share what they sort."""
        columns, pairs, squares = _networks(self.size)
        column = columns.compute(F, _neighbours(F, x, 1, self.size))
        left, right = zip(*(_neighbours(F, line, 2, 2) for line in column), strict=True)
        pair = pairs.compute(F, [*left, *right])
        width = F.shape(x)[2] - self.size + 1
        places = [(line, place) for place in range(0, self.size - 1, 2) for line in pair]
        places += [(line, self.size - 1) for line in column]
        inputs = [F.slice(line, 2, place, place + width) for line, place in places]
        return squares.compute(F, inputs)[0]


def _neighbours(F: Primitives[T], x: T, axis: int, count: int) -> list[T]:
    """`x` from its start, one element later, and so on, all of the length that the last one has."""
    length = F.shape(x)[axis] - count + 1
    return [F.slice(x, axis, start, start + length) for start in range(count)]


@cache
def _networks(size: int) -> tuple[SortingNetwork, SortingNetwork, SortingNetwork]:
    """What sorts a column, two sorted columns, and finds the median of pairs and a last column.

    They have 18, 26 and 46 minima and maxima for size 5, where the usual network of 99 exchanges,
    which shares nothing between pixels, has 198.
    """
    columns = SortingNetwork.to(*sort(range(size)))
    pairs = SortingNetwork.to(*merge(range(size), range(size, 2 * size)))
    total, last = size * size, size * (size - 1)
    square: Sequence[Line] = range(2 * size)
    for start in range(2 * size, last, 2 * size):
        square = merge(square, range(start, start + 2 * size))
    # Whatever the last column holds, the median is never further from the middle of the others.
    spare = (last - size - 1) // 2
    square = merge(square[spare : last - spare], range(last, total))
    return columns, pairs, SortingNetwork.to(square[len(square) // 2])
