"""Replace every pixel by the mean of its neighbourhood."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.filters import smooth
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["Mean"]

T = TypeVar("T")

Side = Annotated[int, Meta(ge=3, le=255)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Stage):
    """The mean over a square, also called a box filter.

    Beyond the edge, the picture is mirrored at the centre of its last pixel.

    Attributes:
        size: the side of the square in pixels, odd, 3 to 255.

    Source: OpenCV's blur with BORDER_REFLECT_101, within 0.001 levels of float64
    (tests/stages/test_mean_and_gaussian.py).
    """

    name: ClassVar[str] = "mean"

    size: Side

    def __post_init__(self) -> None:
        if self.size % 2 == 0:
            raise RecipeError(f"size: must be odd, to have a pixel in the middle, got {self.size}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255", "0..1")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return smooth(F, F.cast(x, "float32"), (1 / self.size,) * self.size)
