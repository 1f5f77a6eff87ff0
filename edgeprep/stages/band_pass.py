"""Let detail of some sizes pass: what one Gaussian keeps and a wider one does not."""

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
from edgeprep.stages.requirements import Level, need_means
from edgeprep.tensors import ImageSpec

__all__ = ["BandPass"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPass(Stage):
    """The difference of two low-pass filters, around a level, clipped to 0..255.

    An even picture becomes `offset` everywhere; what leaves is `offset + narrow - wide`, where
    `narrow` and `wide` are the picture after two low-pass filters.

    Attributes:
        sigma: `[narrow, wide]`, standard deviations in pixels, rising, each at least 0.1 and at
            most 100.
        cutoff: instead of `sigma`: `[low, high]`, the frequencies between which detail passes, in
            cycles a pixel, rising, each at least 0.002 and at most 0.5. `low-pass` says what the
            cut-off of one filter is. Of a wave of `f` cycles a pixel,
            `exp(-ln 2 / 2 · (f / high)²) - exp(-ln 2 / 2 · (f / low)²)` passes: half at most where
            `high` is twice `low`, two thirds where it is thrice, little in a narrow band.
        offset: the level that stands for no difference, 0 to 255.

    Source: the difference of OpenCV's GaussianBlur of float64, within 0.001 levels
    (tests/stages/test_low_and_band_pass.py).
    """

    name: ClassVar[str] = "band-pass"

    sigma: tuple[Sigma, Sigma] | None = None
    cutoff: tuple[CutOff, CutOff] | None = None
    offset: Level = 128

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.cutoff is None):
            got = "neither" if self.sigma is None else "both"
            raise RecipeError(f"needs either sigma or cutoff, got {got}")
        for index, cutoff in enumerate(self.cutoff or ()):
            check_cutoff(f"cutoff[{index}]", cutoff)
        for name, pair in (("sigma", self.sigma), ("cutoff", self.cutoff)):
            if pair is not None and pair[0] >= pair[1]:
                rule = "must be two numbers of which the second is greater"
                raise RecipeError(f"{name}: {rule}, got {list(pair)!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        if self.cutoff is not None:
            wide, narrow = (low_pass_weights(cutoff) for cutoff in self.cutoff)
        elif self.sigma is not None:
            narrow, wide = (gaussian_weights(sigma) for sigma in self.sigma)
        x = F.cast(x, "float32")
        band = F.subtract(smooth(F, x, narrow), smooth(F, x, wide))
        return F.clip(F.add(band, float(self.offset)), 0.0, 255.0)
