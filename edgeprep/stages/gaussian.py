"""Blur by a Gaussian."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.filters import Sigma, gaussian_weights, smooth
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["Gaussian"]

T = TypeVar("T")

Radius = Annotated[int, Meta(ge=1, le=300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian(Stage):
    """A mean weighted by `exp(-r² / (2 sigma²))`, where `r` is the distance in pixels.

    Beyond the edge, the picture is mirrored at the centre of its last pixel.

    Attributes:
        sigma: the standard deviation in pixels, at least 0.1 and at most 100.
        radius: how far the kernel reaches, in pixels, 1 to 300; its side is `2 · radius + 1`. Left
            out, it is `ceil(3 · sigma)`.

    Source: OpenCV's GaussianBlur with BORDER_REFLECT_101, within 0.001 levels of float64
    (tests/stages/test_mean_and_gaussian.py). OpenCV's uint8 is fixed point, up to 1.6 levels off.
    """

    name: ClassVar[str] = "gaussian"

    sigma: Sigma
    radius: Radius | None = None

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255", "0..1")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return smooth(F, F.cast(x, "float32"), gaussian_weights(self.sigma, self.radius))
