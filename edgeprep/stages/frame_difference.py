"""What has changed since the picture before."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from edgeprep.interfaces import Primitives, StreamStage
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["FrameDifference"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDifference(StreamStage):
    """Each picture minus the one before it; the first one differs from nothing.

    Attributes:
        mode: "absolute", `|x - before|`, as OpenCV's absdiff; or "signed",
            `(x - before) / 2 + 128`, in which what became brighter is bright.
    """

    name: ClassVar[str] = "frame-difference"

    mode: Literal["absolute", "signed"] = "absolute"

    def output(self, image: ImageSpec) -> ImageSpec:
        """Pictures of the same size and colours, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float | None
    ) -> tuple[T | None, Any]:
        """`(N, H, W, C)` to the same shape, float32, in 0..255. The memory is the picture."""
        x = F.cast(x, "float32")
        change = F.subtract(x, x if memory is None else memory)
        if self.mode == "absolute":
            return F.absolute(change), x
        return F.clip(F.add(F.multiply(change, 0.5), 128.0), 0.0, 255.0), x
