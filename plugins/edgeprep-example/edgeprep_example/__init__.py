"""A plugin for edgeprep with one preprocessing stage. Copy it."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep import hookimpl
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.tensors import ImageSpec

__all__ = ["Invert", "edgeprep_stages"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert(Stage):
    """Light for dark and dark for light: `255 - value`, as for scans of film."""

    name: ClassVar[str] = "invert"

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        if image.range != "0..255":
            rule = f"needs values in 0..255, got {image.range!r}"
            raise RecipeError(f"{rule}; put this stage before normalize and scale")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """Pictures of any shape, uint8 or float32, to the same shape, float32."""
        return F.add(F.multiply(F.cast(x, "float32"), -1.0), 255.0)


@hookimpl
def edgeprep_stages() -> list[type[Stage]]:
    """What this plugin offers."""
    return [Invert]
