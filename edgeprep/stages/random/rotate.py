"""Rotate pictures by random angles."""

from dataclasses import dataclass
from math import cos, radians, sin
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from msgspec import Meta
from numpy.random import Generator
from numpy.typing import NDArray

from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, RandomStage, Stage
from edgeprep.stages.random.chance import Probability, happens
from edgeprep.stages.requirements import COLORS, Level, need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["RandomRotate", "Rotated"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomRotate(RandomStage):
    """Rotate about the middle by an angle, every angle being as likely as any other.

    Attributes:
        degrees: the greatest angle, either way, above 0 and at most 180.
        fill: the grey level of the corners that come from outside, 0 to 255.
        probability: of a rotation, 0 to 1.
    """

    name: ClassVar[str] = "random-rotate"

    degrees: Annotated[float, Meta(gt=0, le=180)]
    fill: Level = 0
    probability: Probability = 1.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        return image.replace(dtype="float32")

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One rotation, or none."""
        if not happens(generator, self.probability):
            return ()
        angle = generator.uniform(-self.degrees, self.degrees)
        return (Rotated(clockwise=angle, fill=self.fill),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated(Stage):
    """Rotate about the middle, with bilinear weights; the size stays.

    Attributes:
        clockwise: the angle in degrees.
        fill: the grey level of what lies beyond the edges.

    Source: equal to SciPy's affine_transform of order 1 and mode "grid-constant"
    (tests/stages/test_random_rotate.py).
    """

    name: ClassVar[str] = "rotated"

    clockwise: float
    fill: Level = 0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        batch, height, width, channels = F.shape(x)
        rows, columns = self._origins(height, width)
        row, column = np.floor(rows), np.floor(columns)
        below, beside = rows - row, columns - column
        pixels = F.reshape(x, (batch, height * width, channels))
        covered = np.zeros_like(rows)
        parts: list[T] = []
        # The four pixels around, of which those beyond the edges weigh nothing.
        for r, down in ((row, 1 - below), (row + 1, below)):
            for c, across in ((column, 1 - beside), (column + 1, beside)):
                exists = (r >= 0) & (r < height) & (c >= 0) & (c < width)
                weight = down * across * exists
                indices = ((r * width + c) * exists).astype(np.int64)
                # Gather before the cast: uint8 is a quarter of the bytes to move.
                part = F.cast(F.gather(pixels, 1, indices), "float32")
                parts.append(F.multiply(part, weight.astype(np.float32).reshape(1, -1, 1)))
                covered += weight
        beyond = (self.fill * (1 - covered)).astype(np.float32).reshape(1, -1, 1)
        total = F.add(parts[0], beyond)
        for part in parts[1:]:
            total = F.add(total, part)
        return F.reshape(total, (batch, height, width, channels))

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The same angle the other way."""
        height, width = image.size
        cosine, sine = cos(radians(self.clockwise)), sin(radians(self.clockwise))
        x = (width - cosine * width - sine * height) / 2
        y = (height + sine * width - cosine * height) / 2
        return (Affine((cosine, sine, x), (-sine, cosine, y)),)

    def _origins(self, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column that each pixel of the result comes from, in C order."""
        middle, centre = (height - 1) / 2, (width - 1) / 2
        down, across = np.arange(height)[:, None] - middle, np.arange(width) - centre
        cosine, sine = cos(radians(self.clockwise)), sin(radians(self.clockwise))
        rows = down * cosine - across * sine + middle
        columns = down * sine + across * cosine + centre
        return rows.reshape(-1), columns.reshape(-1)
