"""What a picture looks like, in a few numbers that tell a good camera from a bad one."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import Color

__all__ = ["FEATURES", "Feature", "light_of", "look"]

# Of one picture. "brightness": mean of its light; "contrast": standard deviation; "dark", "bright":
# shares of pixels at the ends; all 0 to 1. "sharpness": how strongly light bends within 4 pixels,
# over how much it differs 8 pixels away, both as root mean squares of small blocks: 0 for a slope,
# which is what is left out of focus, whatever the contrast, and nearly whatever the noise. "noise":
# the standard deviation of noise that bends light as much from pixel to pixel, 0 to 1; where there
# is texture, that of the texture. "cast": by how much the first colour is more than the last one,
# of all light in the lower third, -1 to 1: its sign changes where they are swapped. Above it are
# skies, which are blue where most else is rather red, so that either way some pictures are blue.
Feature = Literal["brightness", "contrast", "dark", "bright", "sharpness", "noise", "cast"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

# NOTE: looking takes 50 to 120 µs with these, at any size of picture.
_MOST_ROWS, _MOST_LINES, _MOST_COLUMNS = 48, 24, 192
_DARK, _BRIGHT = 16, 239  # what cameras' limited range calls black and white, in levels
# Below, in levels, there is nothing that could be sharp.
_LEAST_DIFFERENCE = 1.0
_FAR = 8  # pixels
# The mean size of a second difference of normal noise, over its standard deviation.
_BENT_BY_NOISE = (12 / np.pi) ** 0.5
_LEVELS = np.arange(256)
_SQUARES = _LEVELS**2
# The channel that is nearest to light, and those whose difference is the cast.
_LIGHT: dict[Color, int] = {"rgb": 1, "bgr": 1, "rgba": 1, "bgra": 1, "hsv": 2}
_CAST: dict[Color, tuple[int, int]] = {
    "rgb": (0, 2),
    "rgba": (0, 2),
    "bgr": (2, 0),
    "bgra": (2, 0),
    "ycrcb": (1, 2),
    "lab": (1, 2),
}


def look(picture: NDArray[np.uint8], color: Color) -> NDArray[np.float32]:
    """The numbers of one picture.

    Args:
        picture: `(H, W, C)`, uint8; planes as `ImageSpec` has them.
        color: what its channels mean.

    Returns:
        `(7,)`, float32, in the order of `FEATURES`; NaN for what it has not: sharpness where
        nothing is in it, that and noise below 2 × 10 pixels, and cast where it has no colours.
    """
    plane = light_of(picture, color)
    rows = plane[:: -(-len(plane) // _MOST_ROWS)]
    light = rows[:, :: -(-rows.shape[1] // _MOST_ROWS)].ravel()
    counts = np.bincount(light, minlength=256)
    mean = float(counts @ _LEVELS) / light.size
    variance = float(counts @ _SQUARES) / light.size - mean**2
    found = (
        mean / 255,
        max(variance, 0.0) ** 0.5 / 255,
        counts[:_DARK].sum() / light.size,
        counts[_BRIGHT + 1 :].sum() / light.size,
        *_texture(plane),
        _cast(picture, color),
    )
    return np.array(found, np.float32)


def light_of(picture: NDArray[np.uint8], color: Color) -> NDArray[np.uint8]:
    """`(H, W)`, uint8: the channel of a picture that is nearest to its light."""
    pixels = picture[: len(picture) * 2 // 3] if color in ("nv12", "i420") else picture
    return pixels[:, :, _LIGHT.get(color, 0)]


def _texture(light: NDArray[np.uint8]) -> tuple[float, float]:
    """The sharpness and the noise of some lines in the middle of a picture."""
    first = max(0, (light.shape[1] - _MOST_COLUMNS) // 2)
    middle = light[:, first : first + _MOST_COLUMNS]
    step = -(-(len(middle) - 1) // _MOST_LINES)
    if len(middle) < 2 or middle.shape[1] < _FAR + 2:
        return float("nan"), float("nan")
    lines = middle[:-1:step].astype(np.float32)
    bent = np.abs(lines[:, 2:] - 2 * lines[:, 1:-1] + lines[:, :-2])
    noise = float(bent.ravel().mean()) / _BENT_BY_NOISE / 255
    # Blocks of 2×2 pixels, in which noise is half as strong.
    blocks = lines + middle[1::step]
    blocks = (blocks[:, 1:] + blocks[:, :-1]) / 4
    bend = (blocks[:, 4:] - 2 * blocks[:, 2:-2] + blocks[:, :-4]).ravel()
    far = (blocks[:, _FAR:] - blocks[:, :-_FAR]).ravel()
    square = float(far @ far) / far.size
    if square < _LEAST_DIFFERENCE**2:
        return float("nan"), noise
    return float((bend @ bend / bend.size / square) ** 0.5), noise


def _cast(picture: NDArray[np.uint8], color: Color) -> float:
    if color in ("nv12", "i420"):
        return _cast_of_planes(picture[len(picture) * 2 // 3 :], color)
    if color not in _CAST:
        return float("nan")
    down, across = (-(-length // _MOST_ROWS) for length in picture.shape[:2])
    some = picture[_lower(len(picture)) :: down, ::across]
    # NOTE: of one channel after the other, as numpy takes 20 times as long for all at once.
    sums = [int(some[:, :, channel].sum()) for channel in range(3)]
    first, last = (sums[channel] for channel in _CAST[color])
    if color in ("ycrcb", "lab"):
        return (first - last) / some[:, :, 0].size / 255
    return (first - last) / sum(sums) if any(sums) else 0.0


def _cast_of_planes(planes: NDArray[np.uint8], color: Color) -> float:
    if color == "nv12":
        blue, red = planes[:, ::2], planes[:, 1::2]
    else:
        # NOTE: of I420 a row of the array holds two rows of a plane, or halves of two planes.
        flat = planes.ravel()
        blue, red = (half.reshape(len(planes), -1) for half in np.split(flat, 2))
    first = _lower(len(blue))
    return float(red[first:].mean() - blue[first:].mean()) / 255


def _lower(rows: int) -> int:
    """The first row of the lower third of so many rows."""
    return rows * 2 // 3
