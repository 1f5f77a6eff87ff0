"""From what screens show to how much light there was."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.transfer import to_linear
from edgeprep.stages.requirements import COLORS, need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Linear"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Stage):
    """Undo the sRGB curve, so that sums and means of pixels are those of light.

    0 stays 0 and 255 stays 255. No host hands such pictures to a graph: as uint8 the dark would be
    lost.

    Source: IEC 61966-2-1 in float64, within 0.001 levels (tests/stages/test_light_stages.py).
    """

    name: ClassVar[str] = "linear"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in linear light, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        if image.light == "linear":
            raise RecipeError("needs pictures as screens show them, got linear light; say it once")
        return image.replace(light="linear", dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        # Clip: the rounding errors of a resize may be below 0, where there is no power.
        part = F.clip(F.multiply(F.cast(x, "float32"), 1 / 255), 0.0, 1.0)
        return F.multiply(to_linear(F, part), 255.0)
