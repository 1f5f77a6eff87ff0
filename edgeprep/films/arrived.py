"""A picture of a source, and when it was there."""

from msgspec import Struct
from numpy import uint8
from numpy.typing import NDArray

__all__ = ["Arrived"]


class Arrived(Struct, frozen=True, eq=False):
    """A picture, and when it was there.

    Attributes:
        picture: `(H, W, 3)`, uint8, RGB; of a caller's own pictures, as they were given.
        at_s: when it came, by `time.monotonic`.
        index: its number among all that came of its source, from 0.
        time_s: when it was taken, by a clock of its source, in seconds; None: when it came.
    """

    picture: NDArray[uint8]
    at_s: float
    index: int = 0
    time_s: float | None = None
