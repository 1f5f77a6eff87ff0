"""Average what is near in place and in colour, so that edges stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.alike import Levels, half_square, mean_of_alike
from edgeprep.stages.formulas.borders import extend
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["Bilateral"]

T = TypeVar("T")

Diameter = Annotated[int, Meta(ge=3, le=9)]
Pixels = Annotated[float, Meta(ge=0.1, le=1000.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilateral(Stage):
    """A mean over a disc, weighted by nearness in place and in colour; noise goes, edges stay.

    A neighbour at a distance `r` whose channels differ by `d` in all, without signs, has the weight
    `exp(-r² / (2 sigma_space²) - d² / (2 sigma_color²))`. Beyond the edge, the picture is mirrored
    at the centre of its last pixel.

    Attributes:
        sigma_color: in levels of 0..255, at least 0.1 and at most 1000.
        sigma_space: in pixels, at least 0.1 and at most 1000.
        diameter: of the disc in pixels, odd, 3 to 9. The cost grows with its square.

    Source: OpenCV's bilateralFilter, within 0.001 levels of float32 and, rounded, 1 of uint8
    (tests/stages/test_bilateral.py).
    """

    name: ClassVar[str] = "bilateral"

    sigma_color: Levels
    sigma_space: Pixels
    diameter: Diameter = 5

    def __post_init__(self) -> None:
        if self.diameter % 2 == 0:
            rule = "diameter: must be odd, to have a pixel in the middle"
            raise RecipeError(f"{rule}, got {self.diameter!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        radius = self.diameter // 2
        x = extend(F, F.cast(x, "float32"), 1, radius, radius, "reflect")
        x = extend(F, x, 2, radius, radius, "reflect")
        # Half of the disc is enough, as every pair of pixels is seen from both ends.
        offsets = [offset for offset in half_square(radius) if hypot(*offset) <= radius]
        return F.by_strips(
            x,
            2 * radius,
            lambda strip: mean_of_alike(F, strip, offsets, partial(self._weigh, F), reach=radius),
        )

    def _weigh(
        self, F: Primitives[T], differences: Sequence[T], offset: tuple[int, int], row: int
    ) -> T:
        total = F.absolute(differences[0])
        for difference in differences[1:]:
            total = F.add(total, F.absolute(difference))
        exponent = F.multiply(F.multiply(total, total), -0.5 / self.sigma_color**2)
        return F.exp(F.add(exponent, -0.5 * (hypot(*offset) / self.sigma_space) ** 2))
