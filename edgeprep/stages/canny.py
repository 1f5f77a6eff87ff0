"""Canny's edges."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.gradients import derivative, edge_picture
from edgeprep.stages.levels import grey_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Canny"]

T = TypeVar("T")

# The longest gradient there is: 1020 along each axis.
Threshold = Annotated[int, Meta(ge=0, le=2040)]

# The tangent of 22.5° times 2**15, as in OpenCV. That of 67.5° is 2 more, times 2**15.
TANGENT = 13573.0
ONE = 32768.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Canny(Stage):
    """Edges one pixel wide, 255 on 0: strong ones, and the weak ones that touch them.

    The gradient is Sobel's, its length |dx| + |dy|. Pixels where it is greatest across the edge
    and above `low` are weak, those above `high` strong. Strong edges grow along weak ones for
    `steps` pixels. So the result is exact for weak chains of at most `steps` pixels; what is
    further along a chain is missing, and nothing is ever found too much. Colours become grey
    first, and values that are not whole are rounded, halves up.

    Attributes:
        low: length of the gradient that weak edges exceed.
        high: length of the gradient that strong edges exceed; not below `low`.
        steps: of growth, 1024 at most. A photograph of 224 pixels has chains of 14 to 30. Each
            step costs time in a graph; on the host growth ends when nothing is left to grow.

    Source: OpenCV's Canny of aperture 3, without L2gradient, on OpenCV's grey: the same in every
    pixel once `steps` reach along the longest chain (tests/stages/test_canny.py).
    """

    name: ClassVar[str] = "canny"

    low: Threshold = 100
    high: Threshold = 200
    steps: Annotated[int, Meta(ge=1, le=1024)] = 32

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise RecipeError(f"low: must be at most high, got {self.low!r} and {self.high!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """Grey pictures of the same size, float32."""
        return edge_picture(image)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, H, W, 1)`, float32, 0 and 255."""
        levels = grey_levels(F, x, image)
        batch, height, width, _ = F.shape(levels)
        dx = derivative(F, levels, 2, (1.0, 2.0, 1.0), "replicate")
        dy = derivative(F, levels, 1, (1.0, 2.0, 1.0), "replicate")
        length = F.add(F.absolute(dx), F.absolute(dy))
        weak = _exceeds(F, length, F.maximum(_rivals(F, dx, dy, length), float(self.low)))
        strong = F.multiply(weak, _exceeds(F, length, float(self.high)))
        seeds, within = (F.reshape(each, (batch, height, width)) for each in (strong, weak))
        edges = F.grow(seeds, within, self.steps)
        return F.multiply(F.reshape(edges, (batch, height, width, 1)), 255.0)


def _rivals(F: Primitives[T], dx: T, dy: T, length: T) -> T:
    """What the length of the gradient must exceed to be the greatest across the edge."""
    _, height, width, _ = F.shape(length)
    padded = F.pad(F.pad(length, 1, 1, 1, 0), 2, 1, 1, 0)

    def neighbour(down: int, right: int) -> T:
        rows = F.slice(padded, 1, 1 + down, 1 + down + height)
        return F.slice(rows, 2, 1 + right, 1 + right + width)

    # Along rows and columns it may be as great as the second neighbour, so that of a plateau of
    # two, one is found.
    across_row = F.maximum(neighbour(0, -1), F.subtract(neighbour(0, 1), 1.0))
    across_column = F.maximum(neighbour(-1, 0), F.subtract(neighbour(1, 0), 1.0))
    falling = F.maximum(neighbour(-1, -1), neighbour(1, 1))
    rising = F.maximum(neighbour(-1, 1), neighbour(1, -1))
    # Every product is below 2**24 or by a power of two, so that float32 is exact.
    wide, tall = F.absolute(dx), F.absolute(dy)
    slope = F.multiply(wide, TANGENT)
    is_flat = _exceeds(F, slope, F.multiply(tall, ONE))
    is_steep = _exceeds(F, F.multiply(F.subtract(tall, F.multiply(wide, 2.0)), ONE), slope)
    is_rising = _exceeds(F, F.multiply(F.multiply(dx, dy), -1.0), 0.0)
    diagonal = _either(F, is_rising, rising, falling)
    return _either(F, is_flat, across_row, _either(F, is_steep, across_column, diagonal))


# NOTE: not `greater` and `select`, which TFLite has no fast form of.
def _exceeds(F: Primitives[T], a: T, b: T | float) -> T:
    """1 where whole `a` is greater than whole `b`, else 0."""
    return F.clip(F.subtract(a, b), 0.0, 1.0)


def _either(F: Primitives[T], mask: T, a: T, b: T) -> T:
    """Whole `a` where `mask` is 1, whole `b` where it is 0."""
    return F.add(F.multiply(F.subtract(a, b), mask), b)
