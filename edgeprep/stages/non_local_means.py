"""Average pixels whose surroundings look alike, wherever they are nearby."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.alike import Levels, half_square, mean_of_alike
from edgeprep.stages.formulas.borders import extend
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["NonLocalMeans"]

T = TypeVar("T")

Side = Annotated[int, Meta(ge=3, le=35)]

# Pixels of a smaller weight are left out, as OpenCV does.
LEAST_WEIGHT = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class NonLocalMeans(Stage):
    """A mean over a square, weighted by how alike the surroundings are; textures stay.

    Where the squares of `template` pixels around two pixels differ by `d²` in the mean of their
    squared differences over all channels, the weight is `exp(-d² / h²)`, or 0 below 0.001. Beyond
    the edge, the picture is mirrored at the centre of its last pixel.

    Attributes:
        h: in levels of 0..255, at least 0.1 and at most 1000. More removes more noise and detail.
        template: the side of the surroundings that are compared, in pixels, odd, 3 to 35.
        search: the side of the square whose pixels are averaged, in pixels, odd, 3 to 35. The cost
            grows with its square.

    Source: A. Buades, B. Coll and J.-M. Morel, A non-local algorithm for image denoising, 2005;
    rounded within 1 level of OpenCV's fastNlMeansDenoising of photographs, and within 2 of noise,
    as its weights and distances are in fixed point (tests/stages/test_non_local_means.py).
    """

    name: ClassVar[str] = "non-local-means"
    host_only: ClassVar[str] = (
        "it compares every pixel with hundreds of others, which would be thousands of operations"
    )

    h: Levels
    template: Side = 7
    search: Side = 21

    def __post_init__(self) -> None:
        for name, side in (("template", self.template), ("search", self.search)):
            if side % 2 == 0:
                rule = f"{name}: must be odd, to have a pixel in the middle"
                raise RecipeError(f"{rule}, got {side!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        reach, margin = self.search // 2, self.template // 2
        border = reach + margin
        x = extend(F, F.cast(x, "float32"), 1, border, border, "reflect")
        x = extend(F, x, 2, border, border, "reflect")
        weigh = partial(self._weigh, F)
        return F.by_strips(
            x,
            2 * border,
            lambda strip: mean_of_alike(
                F, strip, half_square(reach), weigh, reach=reach, margin=margin
            ),
        )

    def _weigh(
        self, F: Primitives[T], differences: Sequence[T], offset: tuple[int, int], row: int
    ) -> T:
        total = F.multiply(differences[0], differences[0])
        for difference in differences[1:]:
            total = F.add(total, F.multiply(difference, difference))
        total = _sum_run(F, _sum_run(F, total, row, self.template), 1, self.template)
        samples = len(differences) * self.template**2
        weight = F.exp(F.multiply(total, -1 / (samples * self.h**2)))
        return F.multiply(weight, F.greater(weight, LEAST_WEIGHT))


def _sum_run(F: Primitives[T], x: T, step: int, count: int) -> T:
    """The sums of `count` elements of `(N, P)`, `step` apart, from the sums of half as many."""
    if count == 1:
        return x
    length, half = F.shape(x)[1] - (count - 1) * step, count // 2
    halves = _sum_run(F, x, step, half)
    first, second = (F.slice(halves, 1, start, start + length) for start in (0, half * step))
    total = F.add(first, second)
    if count % 2:
        last = (count - 1) * step
        total = F.add(total, F.slice(x, 1, last, last + length))
    return total
