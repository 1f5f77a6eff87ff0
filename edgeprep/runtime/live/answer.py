"""What a stream gives for a picture, and what it counts."""

from typing import Any

from msgspec import Struct
from numpy import uint8
from numpy.typing import NDArray

__all__ = ["Answer", "StreamCounts"]


class Answer(Struct, frozen=True, eq=False, kw_only=True):
    """What a session says to one picture of a source.

    Attributes:
        index: the number of the picture among all that came, from 0; those missing were dropped.
        time_s: when it was taken, in seconds after the first; it grows from answer to answer.
        arrived_s: when it came, by `time.monotonic`.
        picture: `(H, W, 3)`, uint8, RGB, upright; of pictures that the caller gives, as they were.
        result: the task's result; None where a stage drops the picture, or no clip ends with it.
    """

    index: int
    time_s: float
    arrived_s: float
    picture: NDArray[uint8]
    result: Any


class StreamCounts(Struct, frozen=True, kw_only=True):
    """What became of the pictures of a stream so far.

    Attributes:
        arrived: how many came.
        answered: for how many the session has worked, with or without a result.
        failed: how many of these have an error in the place of a result.
        dropped: how many pictures or answers gave way to newer ones.
        waiting: how many pictures and answers wait between two steps now.
        stalled: how often nothing came for too long.
        connected: how often the source was opened.
    """

    arrived: int
    answered: int
    failed: int
    dropped: int
    waiting: int
    stalled: int
    connected: int
