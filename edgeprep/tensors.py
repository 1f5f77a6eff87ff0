"""What travels: the types of tensors, images and quantized values."""

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

__all__ = [
    "LONGEST_SIDE",
    "MOST_PIXELS",
    "Color",
    "DType",
    "ImageSpec",
    "Layout",
    "QuantParams",
    "Range",
    "TensorSpec",
]

# What a recipe may ask of memory, in pixels: more than cameras give, and as float32 in three
# channels 0.8 GB a picture. Beyond are misprints, which took minutes or all memory to fail.
LONGEST_SIDE = 16384
MOST_PIXELS = 2**26

DType = Literal["uint8", "int8", "int32", "int64", "float16", "float32"]
Color = Literal["rgb", "bgr", "grey"]
Layout = Literal["nhwc", "nchw"]
# What the numbers mean. "0..255": pixel values, whole or not; "0..1": the same over 255;
# "normalized": shifted and scaled by statistics, so that no pixel operation makes sense any more.
Range = Literal["0..255", "0..1", "normalized"]


class TensorSpec(Struct, frozen=True, kw_only=True):
    """One input or output of a model: its name, fixed shape and element type."""

    name: str
    shape: tuple[int, ...]
    dtype: DType


class QuantParams(Struct, frozen=True, kw_only=True):
    """How integers stand for numbers: ``real = (integer - zero_point) * scale``.

    `scale` and `zero_point` have one entry (per tensor) or one an index of `axis` (per channel).
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None


class ImageSpec(Struct, frozen=True, kw_only=True):
    """The type of the pictures at one point of a chain.

    `height` and `width` are in pixels; None means that pictures of any size may come.
    """

    height: int | None = None
    width: int | None = None
    color: Color = "rgb"
    range: Range = "0..255"
    layout: Layout = "nhwc"
    dtype: DType = "uint8"

    def replace(self, **changes: Any) -> "ImageSpec":
        """The same type with some attributes changed."""
        return replace(self, **changes)

    @property
    def channels(self) -> int:
        """The number of colour channels: 1 for grey, else 3."""
        return 1 if self.color == "grey" else 3

    @property
    def is_fixed(self) -> bool:
        """Whether every picture has the same, known size."""
        return self.height is not None and self.width is not None

    def shape(self, batch: int = 1) -> tuple[int, ...]:
        """The array shape of `batch` pictures in this layout.

        Raises:
            ValueError: the size is free.
        """
        if self.height is None or self.width is None:
            raise ValueError("a free-size image has no fixed shape")
        if self.layout == "nchw":
            return (batch, self.channels, self.height, self.width)
        return (batch, self.height, self.width, self.channels)
