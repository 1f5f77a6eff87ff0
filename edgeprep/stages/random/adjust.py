"""Brightness, contrast, saturation and hue by given amounts: what colour jitter chooses among."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, Stage
from edgeprep.tensors import ImageSpec

__all__ = ["Brightness", "Contrast", "Hue", "Saturation"]

T = TypeVar("T")

# What torchvision weighs red, green and blue by.
GREY_WEIGHTS = {"rgb": (0.2989, 0.587, 0.114), "bgr": (0.114, 0.587, 0.2989)}
# Below any difference between channels that shows; keeps grey pixels out of a division by 0.
NO_COLOR = 1e-6

Factor = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adjustment(Stage):
    """What all four share: pictures stay what they are, as float32."""

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        return image.replace(dtype="float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness(_Adjustment):
    """Multiply all values, and hold them in 0..255.

    Attributes:
        factor: 0 gives black, 1 what came.

    Source: torchvision's adjust_brightness, without its rounding.
    """

    name: ClassVar[str] = "brightness"

    factor: Factor

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return F.clip(F.multiply(F.cast(x, "float32"), self.factor), 0.0, 255.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast(_Adjustment):
    """Multiply the distance of all values from the mean grey level of their picture.

    Attributes:
        factor: 0 gives that level everywhere, 1 what came.

    Source: torchvision's adjust_contrast, without its rounding.
    """

    name: ClassVar[str] = "contrast"

    factor: Factor

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        x = F.cast(x, "float32")
        _, height, width, _ = F.shape(x)
        # Rows first: a float32 sum of a whole picture would be a level off.
        means = F.multiply(F.reduce_sum(_grey(F, x, image), (2,)), 1 / width)
        mean = F.multiply(F.reduce_sum(means, (1,)), 1 / height)
        return _away(F, x, mean, self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation(_Adjustment):
    """Multiply the distance of all values from the grey level of their pixel.

    Attributes:
        factor: 0 gives grey, 1 what came.

    Source: torchvision's adjust_saturation, without its rounding.
    """

    name: ClassVar[str] = "saturation"

    factor: Factor

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, 3)`, uint8 or float32, to the same shape, float32."""
        x = F.cast(x, "float32")
        return _away(F, x, _grey(F, x, image), self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hue(_Adjustment):
    """Turn the hue of HSV, in which saturation and value stay.

    Attributes:
        turn: in full turns, -0.5 to 0.5; a third of one makes red green.

    Source: torchvision's adjust_hue; Python's colorsys (tests/stages/test_color_jitter.py).
    """

    name: ClassVar[str] = "hue"

    turn: Annotated[float, Meta(ge=-0.5, le=0.5)]

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, 3)`, uint8 or float32, to the same shape, float32."""
        x = F.cast(x, "float32")
        order = (0, 1, 2) if image.color == "rgb" else (2, 1, 0)
        red, green, blue = (F.slice(x, 3, channel, channel + 1) for channel in order)
        value = F.maximum(F.maximum(red, green), blue)
        chroma = F.subtract(value, F.minimum(F.minimum(red, green), blue))
        spread = F.maximum(chroma, NO_COLOR)
        # In sixths of a turn, from red. Of equal channels the first decides, as in colorsys.
        of_red = F.divide(F.subtract(green, blue), spread)
        of_green = F.add(F.divide(F.subtract(blue, red), spread), 2.0)
        of_blue = F.add(F.divide(F.subtract(red, green), spread), 4.0)
        hue = F.select(F.equal(value, green), of_green, of_blue)
        hue = F.add(F.select(F.equal(value, red), of_red, hue), 6 * self.turn)
        channels = [_from_hue(F, hue, value, chroma, offset) for offset in (5.0, 3.0, 1.0)]
        return F.concat([channels[channel] for channel in order], 3)


def _from_hue(F: Primitives[T], hue: T, value: T, chroma: T, offset: float) -> T:
    """A channel of HSV: `value` in a third of all hues, `value - chroma` in another, between."""
    position = F.add(hue, offset)
    position = F.subtract(position, F.multiply(F.floor(F.multiply(position, 1 / 6)), 6.0))
    below = F.add(F.multiply(position, -1.0), 4.0)
    distance = F.clip(F.minimum(position, below), 0.0, 1.0)
    return F.subtract(value, F.multiply(chroma, distance))


def _grey(F: Primitives[T], x: T, image: ImageSpec) -> T:
    if image.color == "grey":
        return x
    first, second, third = (F.slice(x, 3, channel, channel + 1) for channel in range(3))
    weights = GREY_WEIGHTS[image.color]
    total = F.add(F.multiply(first, weights[0]), F.multiply(second, weights[1]))
    return F.add(total, F.multiply(third, weights[2]))


def _away(F: Primitives[T], x: T, middle: T, factor: float) -> T:
    """`x` moved away from `middle`, or towards it, and held in 0..255."""
    moved = F.add(F.multiply(x, factor), F.multiply(middle, 1 - factor))
    return F.clip(moved, 0.0, 255.0)
