"""Blur pictures at random."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.formulas.filters import Sigma
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.random.chance import Probability, happens
from edgeprep.stages.requirements import need_range
from edgeprep.tensors import ImageSpec

__all__ = ["RandomBlur"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomBlur(RandomStage):
    """Blur by a Gaussian of random width, as a lens that is out of focus.

    Attributes:
        sigma: its least and greatest standard deviation in pixels, at least 0.1 and at most 100;
            each between is as likely as any other.
        probability: of a blur, 0 to 1.
    """

    name: ClassVar[str] = "random-blur"

    sigma: tuple[Sigma, Sigma] = (0.1, 2.0)
    probability: Probability = 1.0

    def __post_init__(self) -> None:
        if self.sigma[0] > self.sigma[1]:
            raise RecipeError(f"sigma: must be in ascending order, got {list(self.sigma)!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_range(image, "0..255")
        return Gaussian(sigma=self.sigma[0]).output(image)

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One blur, or none."""
        if not happens(generator, self.probability):
            return ()
        return (Gaussian(sigma=generator.uniform(*self.sigma)),)
