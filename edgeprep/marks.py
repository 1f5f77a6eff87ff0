"""What results look like in a picture, as values: whoever draws them needs no task."""

from typing import Any

from msgspec import Struct
from numpy import bool_, float32, uint8
from numpy.typing import NDArray

__all__ = ["Mark", "Overlay", "Rectangle", "Replacement", "Text", "color_of"]

Color = tuple[int, int, int]

# Told apart on screens and by most who see few colours. Source: the palette "Okabe-Ito".
_COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (160, 160, 160),
)


def color_of(index: int) -> Color:
    """The colour of the class `index`, RGB; classes far apart may share one."""
    return _COLORS[index % len(_COLORS)]


class Mark(Struct, frozen=True, eq=False):
    """Something to be drawn."""


class Text(Mark, frozen=True, eq=False):
    """Words about the whole picture."""

    text: str


class Rectangle(Mark, frozen=True, eq=False):
    """A box with words.

    Attributes:
        corners: least x, least y, greatest x, greatest y in pixels of the picture.
        text: what it is.
        color: RGB.
    """

    corners: tuple[float, float, float, float]
    text: str
    color: Color


class Overlay(Mark, frozen=True, eq=False):
    """Colours laid over a picture.

    Attributes:
        colors: `(H, W, 3)`, uint8, of the size of the picture.
        opacity: `(H, W)`, float32 in 0..1, or bool.
    """

    colors: NDArray[uint8]
    opacity: NDArray[float32] | NDArray[bool_]


class Replacement(Mark, frozen=True, eq=False):
    """A picture that stands beside the one that came in.

    Attributes:
        picture: `(H, W, 3)` or `(H, W, 1)`, uint8, of any size.
        name: what it is, such as "restored".
    """

    picture: NDArray[Any]
    name: str
