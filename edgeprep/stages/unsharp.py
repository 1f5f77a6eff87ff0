"""Sharpening by an unsharp mask."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.filters import Sigma, gaussian_weights, smooth
from edgeprep.stages.levels import need_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Unsharp"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsharp(Stage):
    """Add the difference to a blurred copy.

    `y = clip(x + amount · d)` to 0..255, where `d` is what `x` minus its Gaussian has beyond
    `threshold`, mirrored at the edges. So it grows from 0, where others let it jump to the
    threshold: a jump would turn the last bit of a sum into a visible difference.

    Attributes:
        sigma: of the Gaussian, in pixels, which is cut at `ceil(3 · sigma)`; 0.1 to 100.
        amount: how much of the difference is added; above 0, 10 at most.
        threshold: differences up to so many levels are left alone, such as noise.

    Source: OpenCV's GaussianBlur in float32 (tests/stages/test_sharpen.py).
    """

    name: ClassVar[str] = "unsharp"

    sigma: Sigma = 1.0
    amount: Annotated[float, Meta(gt=0, le=10)] = 1.0
    threshold: Annotated[float, Meta(ge=0, le=255)] = 0.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in float32."""
        need_levels(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape, float32."""
        values = F.cast(x, "float32")
        detail = F.subtract(values, smooth(F, values, gaussian_weights(self.sigma)))
        if self.threshold:
            detail = F.subtract(detail, F.clip(detail, -self.threshold, self.threshold))
        return F.clip(F.add(values, F.multiply(detail, self.amount)), 0.0, 255.0)
