"""Mirror pictures at random."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.flip import Flip
from edgeprep.stages.random.chance import Probability, happens
from edgeprep.stages.requirements import need_channels_last
from edgeprep.tensors import ImageSpec

__all__ = ["RandomFlip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFlip(RandomStage):
    """Mirror some pictures left to right, some upside down, and some both ways.

    Attributes:
        horizontal: the probability that left and right are swapped, 0 to 1.
        vertical: the probability that top and bottom are swapped, 0 to 1.
    """

    name: ClassVar[str] = "random-flip"

    horizontal: Probability = 0.5
    vertical: Probability = 0.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same type."""
        need_channels_last(image)
        return image

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One flip, both, or none."""
        across, down = (happens(generator, p) for p in (self.horizontal, self.vertical))
        flips = (Flip(axis="horizontal"),) if across else ()
        return (*flips, Flip(axis="vertical")) if down else flips
