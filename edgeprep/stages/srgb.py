"""From how much light there was back to what screens show."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.transfer import from_linear
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Srgb"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Srgb(Stage):
    """The sRGB curve again, after `linear` and what was to be done in linear light.

    Source: IEC 61966-2-1 in float64, within 0.001 levels (tests/stages/test_light_stages.py).
    """

    name: ClassVar[str] = "srgb"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures as screens show them, float32."""
        need_channels_last(image)
        need_range(image, "0..255")
        if image.light != "linear":
            rule = "needs pictures in linear light, got those that screens show"
            raise RecipeError(f"{rule}; put linear before this stage")
        return image.replace(light="display", dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, float32, to the same shape."""
        part = F.clip(F.multiply(F.cast(x, "float32"), 1 / 255), 0.0, 1.0)
        return F.clip(F.multiply(from_linear(F, part), 255.0), 0.0, 255.0)
