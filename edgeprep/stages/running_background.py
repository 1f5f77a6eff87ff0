"""A background that is learnt from the pictures, and what stands before it."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, StreamStage
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["RunningBackground"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBackground(StreamStage):
    """A running mean of the pictures so far, `b + rate · (x - b)`; the first picture is the start.

    Attributes:
        rate: the share of each new picture, above 0 and at most 1.
        give: "difference", `|x - b|` against the background before this picture; "mask", 255 where
            that is above `threshold` and 0 elsewhere; or "background", the mean itself.
        threshold: grey levels, for "mask".

    Source: the mean is OpenCV's accumulateWeighted (tests/stages/test_stream_stages.py).
    """

    name: ClassVar[str] = "running-background"

    rate: Annotated[float, Meta(gt=0, le=1)] = 0.05
    give: Literal["difference", "mask", "background"] = "difference"
    threshold: Annotated[float, Meta(ge=0, le=255)] = 25.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """Pictures of the same size and colours, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float | None
    ) -> tuple[T | None, Any]:
        """`(N, H, W, C)` to the same shape, float32, in 0..255. The memory is the mean."""
        x = F.cast(x, "float32")
        before = x if memory is None else memory
        change = F.subtract(x, before)
        background = F.add(before, F.multiply(change, self.rate))
        if self.give == "background":
            return background, background
        difference = F.absolute(change)
        if self.give == "mask":
            return F.multiply(F.greater(difference, self.threshold), 255.0), background
        return difference, background
