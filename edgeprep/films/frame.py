"""One picture of a film."""

from msgspec import Struct
from numpy import uint8
from numpy.typing import NDArray

__all__ = ["FilmFrame"]


class FilmFrame(Struct, frozen=True, eq=False):
    """One picture of a film.

    Attributes:
        index: its number, from 0.
        time_s: when it is shown, in seconds after the first one.
        picture: `(H, W, 3)`, uint8, RGB, upright.
    """

    index: int
    time_s: float
    picture: NDArray[uint8]
