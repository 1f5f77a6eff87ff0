"""A plugin for edgeprep with one preprocessing stage. Copy it."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep import hookimpl
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stage_parts import need_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Invert", "edgeprep_stages"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert(Stage):
    """Light for dark and dark for light: `255 - value`, as for scans of film."""

    name: ClassVar[str] = "invert"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        # 255 - value is nothing for hue, for alpha, for cameras' planes, or after normalize.
        need_levels(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return F.add(F.multiply(F.cast(x, "float32"), -1.0), 255.0)


@hookimpl
def edgeprep_stages() -> list[type[Stage]]:
    """What this plugin offers."""
    return [Invert]
