"""Take some of the pictures of a stream, and drop the others."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import InputError, RecipeError
from edgeprep.interfaces import Primitives, StreamStage
from edgeprep.tensors import ImageSpec

__all__ = ["Frames"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames(StreamStage):
    """Every n-th picture, or so many a second, the first one always.

    Attributes:
        every: of how many pictures one is taken.
        rate: how many pictures a second are taken at most; each is the first one that is due.
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
        """`x` unchanged, or None. The memory is what is to come before the next one is due."""
        if self.every is not None:
            waiting = memory or 0
            return (x if waiting == 0 else None), (waiting + 1) % self.every
        if time_s is None:
            raise InputError(
                "frames: must know when pictures were taken to take so many a second, "
                "got no time; say how many come in a second (fps), or use every"
            )
        if self.rate is None or (memory is not None and time_s < memory):
            return None, memory
        # From where it was due, not from when it came: else a rate of 10 of 25 would become 8.3.
        due = time_s if memory is None else memory
        missed = int((time_s - due) * self.rate)
        return x, due + (missed + 1) / self.rate
