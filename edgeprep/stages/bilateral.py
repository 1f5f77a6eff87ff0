"""Average what is near in place and in colour, so that edges stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.borders import extend
from edgeprep.stages.requirements import need_means
from edgeprep.tensors import ImageSpec

__all__ = ["Bilateral"]

T = TypeVar("T")

Diameter = Annotated[int, Meta(ge=3, le=9)]
Levels = Annotated[float, Meta(ge=0.1, le=1000.0)]
Pixels = Annotated[float, Meta(ge=0.1, le=1000.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilateral(Stage):
    """A mean over a disc, weighted by nearness in place and in colour; noise goes, edges stay.

    A neighbour at a distance `r` whose channels differ by `d` in all, without signs, has the weight
    `exp(-r² / (2 sigma_space²) - d² / (2 sigma_color²))`. Beyond the edge, the picture is mirrored
    at the centre of its last pixel.

    Attributes:
        sigma_color: in levels of 0..255, at least 0.1 and at most 1000.
        sigma_space: in pixels, at least 0.1 and at most 1000.
        diameter: of the disc in pixels, odd, 3 to 9. The cost grows with its square.

    Source: OpenCV's bilateralFilter, within 0.01 levels of float32 and, rounded, 1 of uint8
    (tests/stages/test_bilateral.py).
    """

    name: ClassVar[str] = "bilateral"

    sigma_color: Levels
    sigma_space: Pixels
    diameter: Diameter = 5

    def __post_init__(self) -> None:
        if self.diameter % 2 == 0:
            rule = "diameter: must be odd, to have a pixel in the middle"
            raise RecipeError(f"{rule}, got {self.diameter!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_means(image, "0..255")
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        radius = self.diameter // 2
        x = extend(F, F.cast(x, "float32"), 1, radius, radius, "reflect")
        x = extend(F, x, 2, radius, radius, "reflect")
        return F.by_strips(x, 2 * radius, lambda strip: self._filter(F, strip))

    def _filter(self, F: Primitives[T], x: T) -> T:
        """What is left of `x` without its borders.

        The mean is the middle plus the weighted mean of the differences from it. Those of two
        pixels serve both of them, so that half of the disc is enough.
        """
        batch, high, wide, channels = F.shape(x)
        radius = self.diameter // 2
        inside = (high - 2 * radius, wide - 2 * radius)
        # One channel at a time: engines are slow at pictures whose last axis is short.
        planes = [
            F.reshape(F.slice(x, 3, channel, channel + 1), (batch, high, wide))
            for channel in range(channels)
        ]
        middles = [_part(F, plane, (radius, radius), inside) for plane in planes]
        total = F.add(F.multiply(middles[0], 0.0), 1.0)
        shifts = [F.multiply(middle, 0.0) for middle in middles]
        for down, right in self._half_disc():
            # Every pair of pixels of which at least one is inside the borders.
            top, left = radius - down, radius - max(right, 0)
            size = (inside[0] + down, inside[1] + abs(right))
            differences = [
                F.subtract(
                    _part(F, plane, (top + down, left + right), size),
                    _part(F, plane, (top, left), size),
                )
                for plane in planes
            ]
            weight = self._weight(F, differences, hypot(down, right))
            here, there = (down, max(right, 0)), (0, max(-right, 0))
            total = F.add(total, _part(F, weight, here, inside))
            total = F.add(total, _part(F, weight, there, inside))
            for channel, difference in enumerate(differences):
                weighted = F.multiply(difference, weight)
                shift = F.add(shifts[channel], _part(F, weighted, here, inside))
                shifts[channel] = F.subtract(shift, _part(F, weighted, there, inside))
        means = [
            F.reshape(F.add(middle, F.divide(shift, total)), (batch, *inside, 1))
            for middle, shift in zip(middles, shifts, strict=True)
        ]
        return F.concat(means, 3)

    def _half_disc(self) -> list[tuple[int, int]]:
        """The offsets (down, right) within the disc of which no two are opposite."""
        radius = self.diameter // 2
        across = range(-radius, radius + 1)
        half = [(0, right) for right in across if right > 0]
        half += [(down, right) for down in across if down > 0 for right in across]
        return [offset for offset in half if hypot(*offset) <= radius]

    def _weight(self, F: Primitives[T], differences: Sequence[T], distance: float) -> T:
        total = F.absolute(differences[0])
        for difference in differences[1:]:
            total = F.add(total, F.absolute(difference))
        exponent = F.multiply(F.multiply(total, total), -0.5 / self.sigma_color**2)
        return F.exp(F.add(exponent, -0.5 * (distance / self.sigma_space) ** 2))


def _part(F: Primitives[T], plane: T, start: tuple[int, int], size: tuple[int, int]) -> T:
    """`(N, height, width)` of `plane`, from row and column `start`."""
    rows = F.slice(plane, 1, start[0], start[0] + size[0])
    return F.slice(rows, 2, start[1], start[1] + size[1])
