"""Cameras' planes, NV12 and I420, to RGB and grey."""

from typing import TypeVar

from edgeprep.errors import ShapeError
from edgeprep.interfaces import Primitives
from edgeprep.stages.formulas.bt601 import BLACK, BLUE, CHROMA_SCALE, GREEN, LUMA_SCALE, RED
from edgeprep.tensors import ImageSpec

__all__ = ["planes_to_grey", "planes_to_rgb"]

T = TypeVar("T")


def planes_to_rgb(F: Primitives[T], x: T, image: ImageSpec) -> tuple[T, T, T]:
    """Red, green and blue, each `(N, H, W, 1)`, float32, in 0..255.

    Args:
        F: the interpreter.
        x: `(N, H · 3 / 2, W, 1)`, uint8.
        image: its type: "nv12", where U and V take turns, or "i420", where U comes before V.

    Raises:
        ShapeError: there are no planes of such a size.
    """
    height, width = _size(F, x)
    limited = image.yuv_range == "limited"
    luma = _luma(F, x, image, height)
    scale = CHROMA_SCALE if limited else 1.0
    # The little planes are combined before they grow.
    blue, red = (
        F.multiply(F.subtract(F.cast(part, "float32"), 128.0), scale)
        for part in _chroma(F, x, image, height, width)
    )
    green = F.add(
        F.multiply(blue, -2 * (1 - BLUE) * BLUE / GREEN),
        F.multiply(red, -2 * (1 - RED) * RED / GREEN),
    )
    parts = F.multiply(red, 2 * (1 - RED)), green, F.multiply(blue, 2 * (1 - BLUE))
    grown = _replicate(F, F.concat(parts, 3))
    first, second, third = (
        F.clip(F.add(luma, F.slice(grown, 3, channel, channel + 1)), 0.0, 255.0)
        for channel in range(3)
    )
    return first, second, third


def planes_to_grey(F: Primitives[T], x: T, image: ImageSpec) -> T:
    """Brightness, `(N, H, W, 1)`, float32: whole levels in 0..255.

    Raises:
        ShapeError: there are no planes of such a size.
    """
    luma = _luma(F, x, image, _size(F, x)[0])
    if image.yuv_range == "full":
        return luma
    # No level is nearer than 1/146 to the middle between two: engines round alike.
    return F.clip(F.floor(F.add(luma, 0.5)), 0.0, 255.0)


def _size(F: Primitives[T], x: T) -> tuple[int, int]:
    """The height and width in pixels."""
    _, rows, width, _ = F.shape(x)
    if rows % 3 or width % 2:
        rule = "picture: must have 3 rows for every 2 of pixels, and an even width"
        raise ShapeError(f"{rule}, got {(rows, width)!r} (rows, width)")
    return rows * 2 // 3, width


def _luma(F: Primitives[T], x: T, image: ImageSpec, height: int) -> T:
    luma = F.cast(F.slice(x, 1, 0, height), "float32")
    if image.yuv_range == "full":
        return luma
    # OpenCV, too, holds what is below black to black before colour is added.
    return F.multiply(F.maximum(F.subtract(luma, BLACK), 0.0), LUMA_SCALE)


def _chroma(F: Primitives[T], x: T, image: ImageSpec, height: int, width: int) -> tuple[T, T]:
    """U and V, each `(N, H / 2, W / 2, 1)`, uint8."""
    batch = F.shape(x)[0]
    below = F.slice(x, 1, height, height * 3 // 2)
    half = (height // 2, width // 2)
    if image.color == "nv12":
        pairs = F.reshape(below, (batch, *half, 2))
        return F.slice(pairs, 3, 0, 1), F.slice(pairs, 3, 1, 2)
    planes = F.reshape(below, (batch, 2, *half))
    first, second = (F.slice(planes, 1, plane, plane + 1) for plane in range(2))
    return F.reshape(first, (batch, *half, 1)), F.reshape(second, (batch, *half, 1))


def _replicate(F: Primitives[T], x: T) -> T:
    """Every pixel of `(N, h, w, C)` as 2 × 2 equal ones."""
    batch, height, width, channels = F.shape(x)
    lines = F.reshape(x, (batch, height, 1, width * channels))
    twice = F.reshape(F.concat((lines, lines), 2), (batch, height * 2, width, channels))
    pixels = F.reshape(twice, (batch, height * 2 * width, 1, channels))
    return F.reshape(F.concat((pixels, pixels), 2), (batch, height * 2, width * 2, channels))
