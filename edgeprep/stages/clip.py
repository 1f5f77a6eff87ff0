"""Hold values between two bounds."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last
from edgeprep.tensors import BOUNDS, ImageSpec

__all__ = ["Clip"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(Stage):
    """What is below `low` becomes `low`, what is above `high` becomes `high`.

    Attributes:
        low: in the unit of the values that arrive, such as 16.0 of 255.
        high: the same; above `low`.
    """

    name: ClassVar[str] = "clip"

    low: float
    high: float

    def __post_init__(self) -> None:
        for key, bound in (("low", self.low), ("high", self.high)):
            if not isfinite(bound):
                raise RecipeError(f"{key}: must be finite, got {bound!r}")
        if self.low >= self.high:
            raise RecipeError(f"high: must be above low, {self.low!r}, got {self.high!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        least, most = BOUNDS[image.range]
        for key, bound in (("low", self.low), ("high", self.high)):
            if not least <= bound <= most:
                rule = f"needs {key} to be within the values that arrive, {image.range}"
                raise RecipeError(f"{rule}, got {bound!r}")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        return F.clip(F.cast(x, "float32"), self.low, self.high)
