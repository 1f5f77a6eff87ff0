"""Subtract the mean and divide by the standard deviation of the training pictures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Normalize"]

T = TypeVar("T")

Deviation = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize(Stage):
    """`(value - mean) / std` for each channel, as one multiplication and one addition.

    Attributes:
        mean: one number a channel, in the order of the channels that arrive.
        std: the same; each above 0.
        unit: what `mean` and `std` are measured in: "0..1", as torchvision publishes them, or
            "0..255". Pictures are brought to that unit as part of the stage.
    """

    name: ClassVar[str] = "normalize"

    mean: tuple[float, ...]
    std: tuple[Deviation, ...]
    unit: Literal["0..1", "0..255"] = "0..1"

    @property
    def host_primitives(self) -> tuple[str, ...]:
        """All of it: OpenCV takes channels apart quicker."""
        return ("scale_channels",)

    def output(self, image: ImageSpec) -> ImageSpec:
        """Normalized float32 pictures of the same size."""
        need_channels_last(image)
        if image.range == "normalized":
            raise RecipeError(
                "needs values in 0..255 or 0..1, got 'normalized'; normalize only once"
            )
        need_range(image, "0..255", "0..1")
        if self.unit == "0..1" and max(self.mean, default=0.0) > 1:
            rule = "needs a mean of at most 1, in the unit '0..1' of values"
            raise RecipeError(f"{rule}, got {list(self.mean)!r}; use unit = '0..255'")
        for name, statistics in (("mean", self.mean), ("std", self.std)):
            if len(statistics) != image.channels:
                rule = f"needs one number a channel as {name}, {image.channels} for {image.color}"
                raise RecipeError(f"{rule} pictures, got {list(statistics)!r}")
            if not np.all(np.isfinite(statistics)):
                raise RecipeError(f"needs a finite {name}, got {list(statistics)!r}")
        if not np.all(np.isfinite(self._coefficients(image))):
            got = f"{list(self.mean)!r} and {list(self.std)!r}"
            raise RecipeError(f"needs a mean and std whose quotients float32 holds, got {got}")
        return image.replace(range="normalized", dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        factor, offset = self._coefficients(image)
        return F.scale_channels(x, factor, offset)

    def _coefficients(self, image: ImageSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What values are multiplied by, and what is added then, one number a channel."""
        arriving = 255.0 if image.range == "0..255" else 1.0
        unit = 255.0 if self.unit == "0..255" else 1.0
        std = np.array(self.std)
        with np.errstate(over="ignore"):  # `output` refuses infinity
            factor = (unit / (arriving * std)).astype(np.float32)
            offset = (-np.array(self.mean) / std).astype(np.float32)
        return factor, offset
