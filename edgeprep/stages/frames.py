"""Take some of the pictures of a stream, and drop the others."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import InputError, RecipeError
from edgeprep.interfaces import Primitives, StreamStage
from edgeprep.tensors import ImageSpec

__all__ = ["Frames"]

T = TypeVar("T")

# A part of the time from one picture to the next: `n / rate` and `index / fps` round differently.
_SLACK = 1e-6
# Beyond, floats are no longer counted one by one.
_MOST = 2.0**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames(StreamStage):
    """Every n-th picture, or so many a second, the first one always.

    Attributes:
        every: of how many pictures one is taken.
        rate: how many pictures a second are taken at most; each is the first one that is due.
            What a clock that jumps ahead skips is not made up for; when it is set back, counting
            begins anew.
    """

    name: ClassVar[str] = "frames"

    every: Annotated[int, Meta(ge=1)] | None = None
    rate: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.rate is None):
            got = "neither" if self.every is None else "both"
            raise RecipeError(f"needs either every or rate, got {got}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures."""
        return image

    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float | None
    ) -> tuple[T | None, Any]:
        """`x` unchanged, or None.

        The memory is how many pictures are to be left out before the next one; with a rate, when
        counting began and the number of the next one that is due.
        """
        if self.every is not None:
            waiting = memory or 0
            return (x if waiting == 0 else None), (waiting + 1) % self.every
        if time_s is None:
            raise InputError(
                "frames: must know when pictures were taken to take so many a second, "
                "got no time; say how many come in a second, as fps of the stream or data.fps of "
                "the recipe, or use every"
            )
        if self.rate is None or memory is None:
            return x, (time_s, 1)
        start, number = memory
        # From the start, not from the picture before: else a rate of 10 of 25 would become 8.3, and
        # rounding would add up. The times of day of a camera are rounded, too.
        periods = (time_s - start) * self.rate + _SLACK + 2 * math.ulp(time_s) * self.rate
        if periods < number - 1:  # the clock was set back, behind the last one that was taken
            return x, (time_s, 1)
        if periods < number:
            return None, memory
        return x, (start, math.floor(min(periods, _MOST)) + 1)
