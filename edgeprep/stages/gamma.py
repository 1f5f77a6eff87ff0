"""Brighten or darken the middle, and leave black and white where they are."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import COLORS, need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Gamma"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma(Stage):
    """`255 · (value / 255) ^ exponent`, float32.

    Attributes:
        exponent: above 0 and at most 10; below 1 brightens, above 1 darkens.

    Source: the formula in float64, within 0.001 levels (tests/stages/test_light_stages.py).
    """

    name: ClassVar[str] = "gamma"

    exponent: Annotated[float, Meta(gt=0, le=10)]

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        # Clip: the rounding errors of a resize may be below 0, where there is no power.
        part = F.clip(F.multiply(F.cast(x, "float32"), 1 / 255), 0.0, 1.0)
        return F.multiply(F.power(part, self.exponent), 255.0)
