"""YCrCb, HSV and Lab from RGB and back, in the ranges of OpenCV's uint8 pictures, unrounded."""

from typing import Literal, TypeVar

from edgeprep.interfaces import Primitives
from edgeprep.stages.formulas.bt601 import LUMA
from edgeprep.stages.formulas.transfer import from_linear, to_linear

__all__ = ["Channels", "Space", "from_rgb", "to_rgb"]

T = TypeVar("T")

Space = Literal["ycrcb", "hsv", "lab"]
# Three channels, each `(N, H, W, 1)`, float32, in 0..255.
Channels = tuple[T, T, T]

# As OpenCV documents them.
RED_DIFFERENCE = 0.713
BLUE_DIFFERENCE = 0.564

# Below such a part of a level two channels are one, but for the arithmetic that they come from:
# without this, the hue of grey would be that of its rounding errors.
SAME = 2.0**-6
# So little before red, in sectors, is red: engines would differ by a whole turn. Whole levels are
# 1/255 from red or more.
RED_ALREADY = 2.0**-10
SECTOR = 30.0  # levels of hue, of 2 degrees each: a sixth of the circle

# Linear RGB with sRGB's primaries to XYZ, over the white of D65; each row adds up to 1.
WHITE = (0.950456, 1.0, 1.088754)
TO_XYZ = (
    (0.412453 / WHITE[0], 0.357580 / WHITE[0], 0.180423 / WHITE[0]),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / WHITE[2], 0.119193 / WHITE[2], 0.950227 / WHITE[2]),
)
FROM_XYZ = (
    (3.240479 * WHITE[0], -1.537150, -0.498535 * WHITE[2]),
    (-0.969256 * WHITE[0], 1.875991, 0.041556 * WHITE[2]),
    (0.055648 * WHITE[0], -0.204043, 1.057311 * WHITE[2]),
)
# CIE's cube root has a straight line near black, which it meets at 6/29 cubed.
KNEE = 6 / 29
LINE_SLOPE = 1 / (3 * KNEE**2)
LINE_OFFSET = 16 / 116


def from_rgb(F: Primitives[T], rgb: Channels[T], space: Space) -> Channels[T]:
    """Red, green and blue to the channels of `space`."""
    if space == "hsv":
        return _to_hsv(F, *rgb)
    return _to_lab(F, rgb) if space == "lab" else _to_ycrcb(F, rgb)


def to_rgb(F: Primitives[T], channels: Channels[T], space: Space) -> Channels[T]:
    """The channels of `space` to red, green and blue; what no screen can show is clipped."""
    if space == "hsv":
        return _from_hsv(F, *channels)
    return _from_lab(F, *channels) if space == "lab" else _from_ycrcb(F, *channels)


def _weighted(F: Primitives[T], channels: Channels[T], weights: tuple[float, float, float]) -> T:
    first, second, third = (F.multiply(x, w) for x, w in zip(channels, weights, strict=True))
    return F.add(F.add(first, second), third)


def _to_ycrcb(F: Primitives[T], rgb: Channels[T]) -> Channels[T]:
    luma = _weighted(F, rgb, LUMA)
    red = F.add(F.multiply(F.subtract(rgb[0], luma), RED_DIFFERENCE), 128.0)
    blue = F.add(F.multiply(F.subtract(rgb[2], luma), BLUE_DIFFERENCE), 128.0)
    # Pure red is at 255.4.
    return F.clip(luma, 0.0, 255.0), F.clip(red, 0.0, 255.0), F.clip(blue, 0.0, 255.0)


def _from_ycrcb(F: Primitives[T], luma: T, red: T, blue: T) -> Channels[T]:
    red, blue = F.subtract(red, 128.0), F.subtract(blue, 128.0)
    green = F.add(F.multiply(red, -0.714), F.multiply(blue, -0.344))
    differences = F.multiply(red, 1.403), green, F.multiply(blue, 1.773)
    first, second, third = (F.clip(F.add(luma, part), 0.0, 255.0) for part in differences)
    return first, second, third


def _to_hsv(F: Primitives[T], red: T, green: T, blue: T) -> Channels[T]:
    value = F.maximum(F.maximum(red, green), blue)
    spread = F.subtract(value, F.minimum(F.minimum(red, green), blue))
    width = F.maximum(spread, SAME)
    # In sixths of the circle, from the colour that is greatest; the first one of equals.
    from_red = F.divide(F.subtract(green, blue), width)
    from_green = F.add(F.divide(F.subtract(blue, red), width), 2.0)
    from_blue = F.add(F.divide(F.subtract(red, green), width), 4.0)
    hue = F.select(F.greater(blue, green), from_blue, from_green)
    hue = F.select(F.greater(F.maximum(green, blue), red), hue, from_red)
    before_red = F.greater(F.multiply(hue, -1.0), RED_ALREADY)
    hue = F.maximum(F.add(hue, F.multiply(before_red, 6.0)), 0.0)
    hue = F.multiply(F.multiply(hue, SECTOR), F.greater(spread, SAME))
    saturation = F.multiply(F.divide(spread, F.maximum(value, SAME)), 255.0)
    return hue, saturation, value


def _from_hsv(F: Primitives[T], hue: T, saturation: T, value: T) -> Channels[T]:
    sectors = F.multiply(hue, 1 / SECTOR)
    chroma = F.multiply(F.multiply(value, saturation), 1 / 255)

    def channel(start: float) -> T:
        # 1 where the channel is lowest, 0 where it is highest, with slopes of one sector.
        turned = F.add(sectors, start)
        turned = F.subtract(turned, F.multiply(F.floor(F.multiply(turned, 1 / 6)), 6.0))
        falling = F.add(F.multiply(turned, -1.0), 4.0)
        low = F.clip(F.minimum(turned, falling), 0.0, 1.0)
        return F.subtract(value, F.multiply(chroma, low))

    return channel(5.0), channel(3.0), channel(1.0)


def _to_lab(F: Primitives[T], rgb: Channels[T]) -> Channels[T]:
    red, green, blue = (to_linear(F, F.multiply(x, 1 / 255)) for x in rgb)
    x, y, z = (_cube_root(F, _weighted(F, (red, green, blue), row)) for row in TO_XYZ)
    lightness = F.multiply(F.subtract(F.multiply(y, 116.0), 16.0), 255 / 100)
    a = F.add(F.multiply(F.subtract(x, y), 500.0), 128.0)
    b = F.add(F.multiply(F.subtract(y, z), 200.0), 128.0)
    return F.clip(lightness, 0.0, 255.0), a, b


def _from_lab(F: Primitives[T], lightness: T, a: T, b: T) -> Channels[T]:
    y = F.multiply(F.add(F.multiply(lightness, 100 / 255), 16.0), 1 / 116)
    x = F.add(y, F.multiply(F.subtract(a, 128.0), 1 / 500))
    z = F.subtract(y, F.multiply(F.subtract(b, 128.0), 1 / 200))
    xyz = _cube(F, x), _cube(F, y), _cube(F, z)
    linear = (F.clip(_weighted(F, xyz, row), 0.0, 1.0) for row in FROM_XYZ)
    red, green, blue = (F.multiply(from_linear(F, part), 255.0) for part in linear)
    return F.clip(red, 0.0, 255.0), F.clip(green, 0.0, 255.0), F.clip(blue, 0.0, 255.0)


def _cube_root(F: Primitives[T], x: T) -> T:
    line = F.add(F.multiply(x, LINE_SLOPE), LINE_OFFSET)
    return F.select(F.greater(x, KNEE**3), F.power(x, 1 / 3), line)


def _cube(F: Primitives[T], x: T) -> T:
    line = F.multiply(F.subtract(x, LINE_OFFSET), 1 / LINE_SLOPE)
    return F.select(F.greater(x, KNEE), F.multiply(F.multiply(x, x), x), line)
