"""Bring pixel values from 0..255 to 0..1."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Scale"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(Stage):
    """Divide by 255, for networks that were trained on 0..1 without further statistics."""

    name: ClassVar[str] = "scale"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in 0..1, float32."""
        need_channels_last(image)
        need_range(image, "0..255")
        return image.replace(range="0..1", dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return F.multiply(F.cast(x, "float32"), 1 / 255)
