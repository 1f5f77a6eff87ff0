"""Bring pixel values to the numbers that a network was trained on."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal, TypeVar

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Scale"]

T = TypeVar("T")


# No network takes larger numbers, and not much beyond are those that float32 does not hold.
MOST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(Stage):
    """Bring 0..255 to 0..1 or -1..1, or multiply by one factor and add one offset.

    For networks that were trained without statistics for each channel; `normalize` has those.

    Attributes:
        to: "0..1", which divides by 255 and is meant where nothing is said; or "-1..1", which
            multiplies that by 2 and subtracts 1. Values in 0..1 can be brought to "-1..1", too.
        factor: what to multiply by instead; not 0, and at most a million either way.
        offset: what to add to that; likewise.
    """

    name: ClassVar[str] = "scale"

    to: Literal["0..1", "-1..1"] | None = None
    factor: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        for key, number in (("factor", self.factor), ("offset", self.offset)):
            if number is None:
                continue
            if self.to is not None:
                rule = f"{key}: must be absent where to is given, {self.to!r}"
                raise RecipeError(f"{rule}, got {number!r}")
            if not isfinite(number):
                raise RecipeError(f"{key}: must be finite, got {number!r}")
            if abs(number) > MOST:
                raise RecipeError(f"{key}: must be -{MOST} to {MOST}, got {number!r}")
        if self.factor == 0:
            rule = "factor: must not be 0, which leaves nothing of a picture"
            raise RecipeError(f"{rule}, got {self.factor!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in the other numbers, float32."""
        need_channels_last(image)
        if self.factor is not None or self.offset is not None:
            need_range(image, "0..255", "0..1", "-1..1")
            return image.replace(range="normalized", dtype="float32")
        if self.to == "-1..1":
            need_range(image, "0..255", "0..1")
        else:
            need_range(image, "0..255")
        return image.replace(range=self.to or "0..1", dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        x = F.cast(x, "float32")
        factor, offset = self._terms(image)
        if factor != 1.0:
            x = F.multiply(x, factor)
        return F.add(x, offset) if offset else x

    def _terms(self, image: ImageSpec) -> tuple[float, float]:
        if self.factor is not None or self.offset is not None:
            factor = 1.0 if self.factor is None else self.factor
            return factor, self.offset or 0.0
        most = 1.0 if image.range == "0..1" else 255.0
        return (2 / most, -1.0) if self.to == "-1..1" else (1 / most, 0.0)
