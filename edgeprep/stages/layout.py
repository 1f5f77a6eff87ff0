"""Say where the channels are when the network takes the picture."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last
from edgeprep.tensors import ImageSpec
from edgeprep.tensors import Layout as Axes

__all__ = ["Layout"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(Stage):
    """Order the axes for the network.

    Attributes:
        to: "nchw", as PyTorch networks take pictures, or "nhwc", which changes nothing.
    """

    name: ClassVar[str] = "layout"

    to: Axes = "nchw"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures with their axes in the new order."""
        need_channels_last(image)
        return image.replace(layout=self.to)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, C, H, W)`, or unchanged."""
        return F.transpose(x, (0, 3, 1, 2)) if self.to == "nchw" else x
