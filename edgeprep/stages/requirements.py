"""What stages ask of pictures and of their sizes, said once and in the same words."""

from typing import Annotated

from msgspec import Meta

from edgeprep.errors import ImageTooLarge, RecipeError
from edgeprep.tensors import LONGEST_SIDE, MOST_PIXELS, Color, ImageSpec, Range

__all__ = [
    "COLORS",
    "BorderWidth",
    "Level",
    "limit_picture",
    "limit_pixels",
    "need_channels_last",
    "need_color",
    "need_means",
    "need_pixels",
    "need_range",
]

# What most stages work on: brightness, of one colour or of three alike.
COLORS: tuple[Color, ...] = ("rgb", "bgr", "grey")

# The grey level of what a stage adds to pictures.
Level = Annotated[int, Meta(ge=0, le=255)]
# In pixels, of what is added along an edge.
BorderWidth = Annotated[int, Meta(ge=0, le=LONGEST_SIDE)]


def limit_pixels(rule: str, height: int, width: int) -> None:
    """Refuse a size that memory would not hold; `rule` is the start of the message.

    Raises:
        RecipeError: there are more than 67 million pixels.
    """
    if height * width > MOST_PIXELS:
        raise RecipeError(f"{rule} at most {MOST_PIXELS} pixels, got {[height, width]!r}")


def limit_picture(done: str, size: tuple[int, int], arrived: tuple[int, int]) -> None:
    """Refuse a picture that would not fit memory once it is `done`, such as "resized".

    Args:
        done: what becomes of it.
        size: its `(height, width)` then, in pixels.
        arrived: its `(height, width)` now.

    Raises:
        ImageTooLarge: it would have more than 67 million pixels.
    """
    if size[0] * size[1] > MOST_PIXELS:
        rule = f"picture: must have at most {MOST_PIXELS} pixels once {done}"
        raise ImageTooLarge(f"{rule}, got {size!r} (height, width) from {arrived!r}")


def need_channels_last(image: ImageSpec) -> None:
    """Refuse pictures whose channels come first, and planes.

    Raises:
        RecipeError: the layout is not NHWC, or the color is "nv12" or "i420".
    """
    need_pixels(image)
    if image.layout != "nhwc":
        raise RecipeError(f"needs layout 'nhwc', got {image.layout!r}; put layout last")


def need_color(image: ImageSpec, *allowed: Color) -> None:
    """Refuse pictures whose channels do not mean what the stage works on.

    Raises:
        RecipeError: the color is none of `allowed`.
    """
    if image.color not in allowed:
        remedy = f"put color with to = {allowed[0]!r} before this stage"
        raise RecipeError(f"needs {' or '.join(allowed)} pictures, got {image.color!r}; {remedy}")


def need_means(image: ImageSpec, *ranges: Range) -> None:
    """Refuse pictures whose pixels have no mean: hue is an angle, and alpha would need weights.

    Raises:
        RecipeError: such a color, the layout is not NHWC, or the range is none of `ranges`.
    """
    need_channels_last(image)
    need_color(image, *COLORS, "ycrcb", "lab")
    need_range(image, *ranges)


def need_pixels(image: ImageSpec) -> None:
    """Refuse planes, where the colour of a pixel is somewhere else than its brightness.

    Raises:
        RecipeError: the color is "nv12" or "i420".
    """
    if image.is_planar:
        remedy = "put color with to = 'rgb' before all other stages"
        raise RecipeError(f"needs pixels, got planes, {image.color!r}; {remedy}")


def need_range(image: ImageSpec, *allowed: Range) -> None:
    """Refuse pictures whose numbers do not mean what the stage works on.

    Raises:
        RecipeError: the range is none of `allowed`.
    """
    if image.range not in allowed:
        rule = " or ".join(allowed)
        remedy = "put this stage before normalize and scale"
        raise RecipeError(f"needs values in {rule}, got {image.range!r}; {remedy}")
