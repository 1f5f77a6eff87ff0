"""Change the colour order or the colour space, or reduce to grey."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.channels import join_channels, split_channels
from edgeprep.stages.formulas.color_spaces import Channels, from_rgb, to_rgb
from edgeprep.stages.formulas.planar import planes_to_grey, planes_to_rgb
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Color"]

T = TypeVar("T")

# BT.601 in 15 bits: what OpenCV's uint8 conversion computes, (9798 R + 19235 G + 3735 B +
# 16384) >> 15. Every product and sum is below 2**24, so that float32 is exact.
GREY_WEIGHTS = (9798.0, 19235.0, 3735.0)

# Colours that are the same numbers in another order; alpha is dropped.
ORDERS = {"rgb": (0, 1, 2), "rgba": (0, 1, 2), "bgr": (2, 1, 0), "bgra": (2, 1, 0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Color(Stage):
    """Convert to another colour order or space; grey comes out as whole float32 levels.

    Alpha is dropped. Planes, "nv12" and "i420", are BT.601 of the range that the input says, the
    colour of 2 × 2 pixels replicated. Where that is possible, uint8 stays uint8.

    Attributes:
        to: "rgb", "bgr" or "grey"; or, in 0..255 as OpenCV's uint8 pictures have them but not
            rounded, "ycrcb", "hsv" (hue in 0..180), or "lab"; it must differ from what arrives.

    Source: grey is equal to OpenCV's uint8 COLOR_RGB2GRAY in every pixel
    (tests/stages/test_color.py); values that are not whole are rounded first, halves up. The
    spaces are within 1 level of OpenCV's uint8 pictures (tests/stages/test_color_spaces.py), and so
    are planes (tests/stages/test_planar.py).
    """

    name: ClassVar[str] = "color"

    to: Literal["rgb", "bgr", "grey", "ycrcb", "hsv", "lab"]

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in the other colours."""
        if image.color == self.to:
            rule = f"needs pictures that are not {self.to} already"
            raise RecipeError(f"{rule}, got {image.color!r}; leave this stage out")
        leaving = image.replace(color=self.to, yuv_range="limited")
        if image.is_planar:
            for length in (image.height, image.width):
                if length is not None and length % 2:
                    size = [image.height, image.width]
                    rule = f"needs {image.color} pictures of even height and width"
                    raise RecipeError(f"{rule}, got {size!r}")
            return leaving.replace(dtype="float32")
        need_channels_last(image)
        if self._moves_channels(image):
            need_range(image, "0..255", "0..1", "-1..1")
            return leaving
        need_range(image, "0..255")
        if image.light == "linear":
            raise RecipeError(
                "needs pictures as screens show them, got linear light; put srgb first"
            )
        return leaving.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, H, W, 3)`, or `(N, H, W, 1)` for grey."""
        if image.color == "grey" and self.to in ORDERS:
            return F.concat((x, x, x), 3)
        if self.to == "grey" and image.is_planar:
            return planes_to_grey(F, x, image)
        if self._moves_channels(image):
            return self._reorder(F, x, image)
        rgb = _to_rgb(F, x, image)
        if self.to == "grey":
            whole = image.dtype == "uint8" and image.color in ORDERS
            return _to_grey(F, rgb if whole else _round(F, rgb))
        if self.to in ("ycrcb", "hsv", "lab"):
            return join_channels(F, from_rgb(F, rgb, self.to))
        return join_channels(F, rgb if self.to == "rgb" else rgb[::-1])

    def _moves_channels(self, image: ImageSpec) -> bool:
        """Whether no number becomes another one."""
        return self.to in ORDERS and (image.color in ORDERS or image.color == "grey")

    def _reorder(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        if F.shape(x)[3] == 4:
            x = F.slice(x, 3, 0, 3)
        return x if ORDERS[self.to] == ORDERS[image.color] else F.reverse(x, 3)


def _to_rgb(F: Primitives[T], x: T, image: ImageSpec) -> Channels[T]:
    if image.is_planar:
        return planes_to_rgb(F, x, image)
    x = F.cast(x, "float32")
    if image.color == "grey":
        return x, x, x
    # One channel at a time, not a matrix product: engines may run those in fewer bits.
    channels = split_channels(F, x)
    first, second, third = (channels[at] for at in ORDERS.get(image.color, (0, 1, 2)))
    if image.color in ("ycrcb", "hsv", "lab"):
        return to_rgb(F, (first, second, third), image.color)
    return first, second, third


def _round(F: Primitives[T], rgb: Channels[T]) -> Channels[T]:
    red, green, blue = (F.clip(F.floor(F.add(x, 0.5)), 0.0, 255.0) for x in rgb)
    return red, green, blue


def _to_grey(F: Primitives[T], rgb: Channels[T]) -> T:
    red, green, blue = (F.multiply(x, w) for x, w in zip(rgb, GREY_WEIGHTS, strict=True))
    # NOTE: red and green first: the sum is exact in any order, but always the same one.
    total = F.add(F.add(F.add(red, green), blue), 16384.0)
    return F.floor(F.multiply(total, 1 / 32768))
