"""Let slow changes pass and hold back fine detail."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.filters import (
    CutOff,
    Sigma,
    check_cutoff,
    gaussian_weights,
    low_pass_weights,
    smooth,
)
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["LowPass"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowPass(Stage):
    """A Gaussian, described by its width or by the frequency from which it holds back.

    Its kernel has `2 · ceil(3 · sigma) + 1` weights along each axis; there is no Fourier transform.
    Beyond the edge, the picture is mirrored at the centre of its last pixel.

    Attributes:
        sigma: the standard deviation in pixels, at least 0.1 and at most 100.
        cutoff: instead of `sigma`: where `1 / sqrt(2)` of the amplitude passes (-3 dB), in cycles
            a pixel, at least 0.002 and at most 0.5. `sigma = sqrt(ln 2) / (2 π · cutoff)`,
            corrected above 0.2, where few weights are left.

    Source: OpenCV's GaussianBlur, within 0.001 levels of float64; waves at the cut-off are measured
    (tests/stages/test_low_and_band_pass.py).
    """

    name: ClassVar[str] = "low-pass"

    sigma: Sigma | None = None
    cutoff: CutOff | None = None

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.cutoff is None):
            got = "neither" if self.sigma is None else "both"
            raise RecipeError(f"needs either sigma or cutoff, got {got}")
        if self.cutoff is not None:
            check_cutoff("cutoff", self.cutoff)

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255", "0..1")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        if self.cutoff is not None:
            weights = low_pass_weights(self.cutoff)
        elif self.sigma is not None:
            weights = gaussian_weights(self.sigma)
        return smooth(F, F.cast(x, "float32"), weights)
