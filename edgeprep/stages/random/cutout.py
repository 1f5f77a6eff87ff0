"""Cover parts of pictures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from msgspec import Meta
from numpy.random import Generator

from edgeprep.interfaces import Primitives, RandomStage, Stage
from edgeprep.stages.random.chance import Probability, happens, whole
from edgeprep.stages.requirements import COLORS, Level, need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["Covered", "RandomCutout"]

T = TypeVar("T")

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCutout(RandomStage):
    """Cover rectangles of one size at random places, so that no part alone decides.

    Their centres are anywhere in the picture; what reaches beyond it is lost.

    Attributes:
        count: how many rectangles, 1 to 64.
        size: their height and width as shares of the picture's, above 0 and at most 1.
        fill: their grey level, 0 to 255.
        probability: of rectangles in a picture, 0 to 1.

    Source: DeVries and Taylor, arXiv:1708.04552, where one square is covered.
    """

    name: ClassVar[str] = "cutout"

    count: Annotated[int, Meta(ge=1, le=64)] = 1
    size: Annotated[float, Meta(gt=0, le=1)] = 0.5
    fill: Level = 0
    probability: Probability = 1.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        return image.replace(dtype="float32")

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """All rectangles at once, or none."""
        if not happens(generator, self.probability):
            return ()
        rectangles = tuple(self._rectangle(generator, image) for _ in range(self.count))
        return (Covered(rectangles=rectangles, fill=self.fill),)

    def _rectangle(self, generator: Generator, image: ImageSpec) -> Rectangle:
        spans = []
        for length in image.size:
            covered = max(round(self.size * length), 1)
            start = whole(generator, 0, length - 1) - covered // 2
            spans.append((max(start, 0), min(start + covered, length)))
        (top, bottom), (left, right) = spans
        return top, left, bottom, right


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered(Stage):
    """Bring rectangles to one grey level.

    Attributes:
        rectangles: the first row and column of each, and those after its last ones.
        fill: the grey level, 0 to 255.
    """

    name: ClassVar[str] = "covered"

    rectangles: tuple[Rectangle, ...]
    fill: Level = 0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        _, height, width, _ = F.shape(x)
        seen = np.ones((1, height, width, 1), np.float32)
        for top, left, bottom, right in self.rectangles:
            seen[:, top:bottom, left:right] = 0.0
        kept = F.multiply(F.cast(x, "float32"), seen)
        return F.add(kept, (1 - seen) * np.float32(self.fill)) if self.fill else kept
