"""Take out the tint of the light."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["WhiteBalance"]

T = TypeVar("T")

# No channel that is not all 0 has a smaller mean, in the largest picture there can be.
DARKEST = 2.0**-30


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteBalance(Stage):
    """Grey world: scale each channel so that its mean is the mean of all, and clip at 255.

    A channel without any light stays black. Every picture of a batch is balanced alone.

    Source: the formula in float64, within 0.001 levels (tests/stages/test_white_balance.py).
    """

    name: ClassVar[str] = "white-balance"
    looks_everywhere: ClassVar[bool] = True

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, "rgb", "bgr")
        need_range(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, 3)`, uint8 or float32, to the same shape, float32."""
        x = F.cast(x, "float32")
        _, height, width, channels = F.shape(x)
        # The sum of a row of whole levels is exact; that of a picture at once would not be.
        rows = F.multiply(F.reduce_sum(x, (2,)), 1 / width)
        means = F.multiply(F.reduce_sum(rows, (1,)), 1 / height)
        grey = F.multiply(F.reduce_sum(means, (3,)), 1 / channels)
        factors = F.divide(grey, F.maximum(means, DARKEST))
        return F.clip(F.multiply(x, factors), 0.0, 255.0)
