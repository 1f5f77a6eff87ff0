"""Contrast stretch by percentiles."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.levels import need_levels, whole_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Stretch"]

T = TypeVar("T")

Percent = Annotated[float, Meta(ge=0, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch(Stage):
    """Stretch what lies between two percentiles of the levels to 0..255, and clip the rest.

    `y = clip((x - l) · 255 / (h - l))`, where `l` and `h` are the least levels that at least `low`
    and `high` percent of the pixels do not exceed. Where they are one level, pictures stay as they
    are. The levels are those of `x` rounded, halves up; `x` itself is not rounded.

    Attributes:
        low: percentile that becomes 0; below `high`. 0 is the least level.
        high: percentile that becomes 255; 100 is the greatest level.
        per_channel: whether each channel has percentiles of its own, which also changes colours.

    Source: the percentiles are numpy's of method "inverted_cdf" (tests/stages/test_stretch.py).
    """

    name: ClassVar[str] = "stretch"
    looks_everywhere: ClassVar[bool] = True

    low: Percent = 1.0
    high: Percent = 99.0
    per_channel: bool = False

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise RecipeError(f"low: must be below high, got {self.low!r} and {self.high!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in float32."""
        need_levels(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape, float32."""
        batch, height, width, channels = F.shape(x)
        levels = whole_levels(F, x, image)
        groups = channels if self.per_channel else 1
        if groups > 1:
            levels = F.transpose(levels, (0, 3, 1, 2))
        pixels = height * width * channels // groups
        rows = F.reshape(levels, (batch * groups, pixels))
        low, high = (
            F.reshape(F.ranked(rows, _rank(percent, pixels)), (batch, 1, 1, groups))
            for percent in (self.low, self.high)
        )
        values = F.cast(x, "float32")
        span = F.subtract(high, low)
        raised = F.multiply(F.subtract(values, low), 255.0)
        stretched = F.clip(F.divide(raised, F.maximum(span, 1.0)), 0.0, 255.0)
        flat = F.add(F.multiply(values, 0.0), F.equal(span, 0.0))
        return F.select(flat, values, stretched)


def _rank(percent: float, pixels: int) -> int:
    """How many pixels are `percent` of all, rounded up, and 1 at least."""
    # A fraction of what is written in the recipe: 0.1 as a float is a little more than that.
    return max(ceil(Fraction(str(percent)) * pixels / 100), 1)
