"""What travels: the types of tensors, images and quantized values."""

from math import inf
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

__all__ = [
    "BOUNDS",
    "LONGEST_CLIP",
    "LONGEST_SIDE",
    "MOST_PIXELS",
    "CameraColor",
    "Color",
    "DType",
    "ImageSpec",
    "Layout",
    "Length",
    "Light",
    "QuantParams",
    "Range",
    "TensorSpec",
    "YuvRange",
]

# What a recipe may ask of memory, in pixels: more than cameras give, and as float32 in three
# channels 0.8 GB a picture. Beyond are misprints, which took minutes or all memory to fail.
LONGEST_SIDE = 16384
LONGEST_CLIP = 1024
MOST_PIXELS = 2**26
# In pixels, of a side that a recipe asks for.
Length = Annotated[int, Meta(ge=1, le=LONGEST_SIDE)]

DType = Literal["uint8", "int8", "int32", "int64", "float16", "float32"]
# What the channels mean. "hsv": hue in 0..180, 2 degrees each; "lab" and "ycrcb" as OpenCV's uint8
# has them. "nv12" and "i420" are cameras' planes: a row of brightness for every row of pixels, then
# half as many rows with the colour of each 2 × 2 pixels, all in one channel.
Color = Literal["rgb", "bgr", "grey", "rgba", "bgra", "ycrcb", "hsv", "lab", "nv12", "i420"]
# Those in which pictures come from cameras and files.
CameraColor = Literal["rgb", "bgr", "grey", "rgba", "bgra", "nv12", "i420"]
CHANNELS: dict[Color, int] = {"grey": 1, "nv12": 1, "i420": 1, "rgba": 4, "bgra": 4}
# How far brightness goes in planes: 16..235 (BT.601), or all of 0..255 as in JPEG.
YuvRange = Literal["limited", "full"]
# What a number says of light. "display": as screens and files have it, by the sRGB curve or one
# like it; "linear": as much as there was.
Light = Literal["display", "linear"]
Layout = Literal["nhwc", "nchw"]
# What the numbers mean. "0..255": pixel values, whole or not; "0..1": the same over 255; "-1..1":
# that doubled, less 1; "normalized": shifted and scaled by statistics, so that no pixel operation
# makes sense any more.
Range = Literal["0..255", "0..1", "-1..1", "normalized"]
BOUNDS: dict[Range, tuple[float, float]] = {
    "0..255": (0.0, 255.0),
    "0..1": (0.0, 1.0),
    "-1..1": (-1.0, 1.0),
    "normalized": (-inf, inf),
}


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

    `height` and `width` are in pixels; None means that pictures of any size may come. `yuv_range`
    counts for planes alone. `batch` is how many pictures one from the camera has become; of what
    comes from the camera, how many frames make a clip.
    """

    height: int | None = None
    width: int | None = None
    color: Color = "rgb"
    range: Range = "0..255"
    layout: Layout = "nhwc"
    dtype: DType = "uint8"
    yuv_range: YuvRange = "limited"
    light: Light = "display"
    batch: int = 1

    def replace(self, **changes: Any) -> "ImageSpec":
        """The same type with some attributes changed."""
        return replace(self, **changes)

    @property
    def channels(self) -> int:
        """The length of the axis of channels: 1 for grey and planes, 4 with alpha, else 3."""
        return CHANNELS.get(self.color, 3)

    @property
    def is_planar(self) -> bool:
        """Whether a picture is planes one below the other, and has more rows than pixels."""
        return self.color in ("nv12", "i420")

    @property
    def rows(self) -> int | None:
        """The rows of an array that holds a picture: its height, or half as much again."""
        if self.height is None or not self.is_planar:
            return self.height
        return self.height * 3 // 2

    @property
    def is_fixed(self) -> bool:
        """Whether every picture has the same, known size."""
        return self.height is not None and self.width is not None

    @property
    def size(self) -> tuple[int, int]:
        """The height and width in pixels.

        Raises:
            ValueError: one of them is free.
        """
        if self.height is None or self.width is None:
            raise ValueError("a free-size image has no fixed size")
        return self.height, self.width

    def shape(self, pictures: int = 1) -> tuple[int, ...]:
        """The array shape of so many pictures from the camera, in this layout.

        Raises:
            ValueError: the size is free.
        """
        batch = pictures * self.batch
        if self.rows is None or self.width is None:
            raise ValueError("a free-size image has no fixed shape")
        if self.layout == "nchw":
            return (batch, self.channels, self.rows, self.width)
        return (batch, self.rows, self.width, self.channels)
