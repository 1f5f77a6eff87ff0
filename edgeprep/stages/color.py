"""Change the colour order, or reduce to grey."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import Color as ColorOrder
from edgeprep.tensors import ImageSpec

__all__ = ["Color"]

T = TypeVar("T")

# BT.601 in 15 bits: what OpenCV's uint8 conversion computes, (9798 R + 19235 G + 3735 B +
# 16384) >> 15. Every product and sum is below 2**24, so that float32 is exact.
GREY_WEIGHTS = {"rgb": (9798.0, 19235.0, 3735.0), "bgr": (3735.0, 19235.0, 9798.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Color(Stage):
    """Convert to another colour order; grey comes out as whole float32 levels.

    Attributes:
        to: "rgb", "bgr" or "grey"; it must differ from what arrives.

    Source: grey is equal to OpenCV's uint8 COLOR_RGB2GRAY in every pixel
    (tests/stages/test_color.py); values that are not whole are rounded first, halves up.
    """

    name: ClassVar[str] = "color"

    to: ColorOrder

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in the other colour order."""
        need_channels_last(image)
        if image.color == self.to:
            rule = f"needs pictures that are not {self.to} already"
            raise RecipeError(f"{rule}, got {image.color!r}; leave this stage out")
        if self.to == "grey":
            need_range(image, "0..255")
            return image.replace(color="grey", dtype="float32")
        need_range(image, "0..255", "0..1")
        return image.replace(color=self.to)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, H, W, 3)` of the same dtype, or `(N, H, W, 1)`, float32."""
        if image.color == "grey":
            return F.concat((x, x, x), 3)
        if self.to != "grey":
            return F.reverse(x, 3)
        x = F.cast(x, "float32")
        if image.dtype != "uint8":
            x = F.clip(F.floor(F.add(x, 0.5)), 0.0, 255.0)
        # One channel at a time, not a matrix product: engines may run those in fewer bits.
        first, second, third = (F.slice(x, 3, channel, channel + 1) for channel in range(3))
        weights = GREY_WEIGHTS[image.color]
        total = F.add(F.multiply(first, weights[0]), F.multiply(second, weights[1]))
        total = F.add(F.add(total, F.multiply(third, weights[2])), 16384.0)
        return F.floor(F.multiply(total, 1 / 32768))
