"""Whole grey levels, for stages that are defined in integers."""

from collections.abc import Callable
from typing import TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives
from edgeprep.stages.color import Color
from edgeprep.stages.formulas.channels import join_channels, split_channels
from edgeprep.stages.requirements import need_channels_last, need_color, need_range
from edgeprep.tensors import Color as ColorSpace
from edgeprep.tensors import ImageSpec

__all__ = ["change_luma", "grey_levels", "need_levels", "need_luma", "whole_levels"]

T = TypeVar("T")

# Y of OpenCV's uint8 YCrCb, (4899 R + 9617 G + 1868 B + 8192) >> 14: a bit less than its grey has,
# which is another level in 0.3 % of random pixels. Exact in float32.
LUMA_WEIGHTS = {"rgb": (4899.0, 9617.0, 1868.0), "bgr": (1868.0, 9617.0, 4899.0)}


def need_levels(image: ImageSpec) -> None:
    """Refuse all but RGB, BGR and grey, channels last, with values in 0..255 as screens show them.

    Raises:
        RecipeError: `image` is no such picture.
    """
    _need(image, "rgb", "bgr", "grey")


def need_luma(image: ImageSpec) -> None:
    """Refuse what `need_levels` does, but take YCrCb and Lab.

    Raises:
        RecipeError: `image` is no such picture.
    """
    _need(image, "rgb", "bgr", "grey", "ycrcb", "lab")


def _need(image: ImageSpec, *colors: ColorSpace) -> None:
    need_channels_last(image)
    need_color(image, *colors)
    need_range(image, "0..255")
    if image.light == "linear":
        raise RecipeError("needs levels as screens show them, got linear light; put srgb first")


def whole_levels(F: Primitives[T], x: T, image: ImageSpec) -> T:
    """`x`, of type `image`, as float32 in whole numbers of 0 to 255; halves go up."""
    levels = F.cast(x, "float32")
    if image.dtype == "uint8":
        return levels
    return F.clip(F.floor(F.add(levels, 0.5)), 0.0, 255.0)


def grey_levels(F: Primitives[T], x: T, image: ImageSpec) -> T:
    """`(N, H, W, C)` to `(N, H, W, 1)`: OpenCV's uint8 grey, as the stage `color` makes it."""
    if image.color == "grey":
        return whole_levels(F, x, image)
    return Color(to="grey").apply(F, x, image)


def change_luma(F: Primitives[T], x: T, image: ImageSpec, change: Callable[[T], T]) -> T:
    """`(N, H, W, C)` with `change` made to its brightness; the colour differences stay.

    Grey is changed itself, and so is the first channel of YCrCb and Lab. Of RGB, what Y of YCrCb
    gains is added to all three, which is the way to YCrCb and back without its rounding.

    Args:
        F: the interpreter.
        x: pictures that `need_luma` takes.
        image: their type.
        change: whole levels `(N, H, W, 1)` to others.
    """
    levels = whole_levels(F, x, image)
    if image.color == "grey":
        return change(levels)
    if image.color in ("ycrcb", "lab"):
        luma, *others = split_channels(F, levels)
        return join_channels(F, (change(luma), *others))
    first, second, third = split_channels(F, levels)
    weights = LUMA_WEIGHTS[image.color]
    total = F.add(F.multiply(first, weights[0]), F.multiply(second, weights[1]))
    total = F.add(F.add(total, F.multiply(third, weights[2])), 8192.0)
    luma = F.floor(F.multiply(total, 1 / 16384))
    gain = F.subtract(change(luma), luma)
    # Channel by channel: to add one channel to three takes ONNX Runtime longer than all the rest.
    changed = [F.clip(F.add(each, gain), 0.0, 255.0) for each in (first, second, third)]
    return join_channels(F, changed)
