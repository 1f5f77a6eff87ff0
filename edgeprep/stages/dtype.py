"""Make the numbers float32, as networks take them."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_pixels
from edgeprep.tensors import ImageSpec

__all__ = ["DType"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DType(Stage):
    """Change the element type and nothing else: 200 stays 200.

    Attributes:
        to: the element type that leaves.
    """

    name: ClassVar[str] = "dtype"

    to: Literal["float32"] = "float32"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in the other element type."""
        need_pixels(image)
        return image.replace(dtype=self.to)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """Any shape, uint8 or float32, to the same shape, float32."""
        return F.cast(x, self.to)
