"""Differences between neighbours: what edges are found by."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.borders import Border
from edgeprep.stages.formulas.filters import correlate
from edgeprep.stages.levels import grey_levels, need_levels
from edgeprep.tensors import ImageSpec

__all__ = ["MIDDLE", "Gradient", "derivative", "edge_picture", "laplacian"]

T = TypeVar("T")

Weights = tuple[float, float, float]

# What stands for no difference where differences have a sign.
MIDDLE = 128.0
# Beyond what a picture can hold, and still exact when two squares of it are added.
BRIGHTEST = 256.0


def derivative(F: Primitives[T], x: T, axis: int, across: Weights, border: Border = "reflect") -> T:
    """The next minus the previous element along `axis`, weighted `across` the other axis."""
    return correlate(F, correlate(F, x, axis, (-1.0, 0.0, 1.0), border), 3 - axis, across, border)


def laplacian(F: Primitives[T], x: T) -> T:
    """The four neighbours of each element minus four times itself."""
    vertical = correlate(F, x, 1, (1.0, -2.0, 1.0))
    return F.add(vertical, correlate(F, x, 2, (1.0, -2.0, 1.0)))


def edge_picture(image: ImageSpec) -> ImageSpec:
    """What becomes of `image` where its edges are found: grey, float32.

    Raises:
        RecipeError: `image` has no grey levels.
    """
    need_levels(image)
    return image.replace(color="grey", dtype="float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient(Stage):
    """What `sobel` and `scharr` have in common; they differ in the weights across."""

    across: ClassVar[Weights]

    result: Literal["magnitude", "dx", "dy"] = "magnitude"

    def output(self, image: ImageSpec) -> ImageSpec:
        """Grey pictures of the same size, float32."""
        return edge_picture(image)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, H, W, 1)`, float32, whole levels."""
        levels = grey_levels(F, x, image)
        if self.result != "magnitude":
            part = derivative(F, levels, 2 if self.result == "dx" else 1, self.across)
            return F.clip(F.add(part, MIDDLE), 0.0, 255.0)
        parts = [derivative(F, levels, axis, self.across) for axis in (1, 2)]
        vertical, horizontal = (F.clip(part, -BRIGHTEST, BRIGHTEST) for part in parts)
        squared = F.add(F.multiply(vertical, vertical), F.multiply(horizontal, horizontal))
        # The root of a whole number is never near a half, so that all engines round it alike.
        return F.minimum(F.round(F.sqrt(squared)), 255.0)
