"""Mirror a picture."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last
from edgeprep.tensors import ImageSpec

__all__ = ["Flip"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(Stage):
    """Mirror every picture, as for a camera that looks into a mirror or hangs upside down.

    Attributes:
        axis: "horizontal" swaps left and right, "vertical" swaps top and bottom.
    """

    name: ClassVar[str] = "flip"

    axis: Literal["horizontal", "vertical"]

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same type."""
        need_channels_last(image)
        return image

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape and dtype."""
        return F.reverse(x, 2 if self.axis == "horizontal" else 1)

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The same again."""
        height, width = image.size
        if self.axis == "horizontal":
            return (Affine.scaled(-1.0, 1.0, x=width),)
        return (Affine.scaled(1.0, -1.0, y=height),)
