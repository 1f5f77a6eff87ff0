"""Sharpening by the Laplacian."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.gradients import laplacian
from edgeprep.stages.levels import need_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Sharpen"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpen(Stage):
    """Subtract the Laplacian, the sum of the differences to the four neighbours.

    `y = clip(x - amount · (up + down + left + right - 4 x))` to 0..255, mirrored at the edges.

    Attributes:
        amount: 1 is the usual kernel, 5 in the middle and -1 around; above 0, 10 at most.

    Source: OpenCV's filter2D with this kernel, clipped (tests/stages/test_sharpen.py).
    """

    name: ClassVar[str] = "sharpen"

    amount: Annotated[float, Meta(gt=0, le=10)] = 1.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in float32."""
        need_levels(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape, float32."""
        values = F.cast(x, "float32")
        edges = F.multiply(laplacian(F, values), self.amount)
        return F.clip(F.subtract(values, edges), 0.0, 255.0)
