"""Add noise to pictures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from msgspec import Meta
from numpy.random import Generator

from edgeprep.interfaces import Primitives, RandomStage, Stage
from edgeprep.stages.random.chance import Probability, happens, whole
from edgeprep.stages.requirements import COLORS, need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["AddedNoise", "RandomNoise"]

T = TypeVar("T")

NoiseSigma = Annotated[float, Meta(gt=0, le=255)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomNoise(RandomStage):
    """Add Gaussian noise to every value alone, as a sensor does in the dark.

    Attributes:
        sigma: its standard deviation, in grey levels of 255.
        probability: of noise in a picture, 0 to 1.
    """

    name: ClassVar[str] = "random-noise"

    sigma: NoiseSigma
    probability: Probability = 1.0

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        return image.replace(dtype="float32")

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One noise, or none."""
        if not happens(generator, self.probability):
            return ()
        return (AddedNoise(sigma=self.sigma, seed=whole(generator, 0, 2**63 - 1)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedNoise(Stage):
    """Add the noise that belongs to a seed, and hold values in 0..255.

    Attributes:
        sigma: its standard deviation, in grey levels of 255.
        seed: which noise; every picture of a batch gets the same.
    """

    name: ClassVar[str] = "added-noise"

    sigma: NoiseSigma
    seed: int

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to the same shape, float32."""
        generator = np.random.default_rng(self.seed)
        noise = generator.standard_normal((1, *F.shape(x)[1:]), np.float32)
        noise *= np.float32(self.sigma)
        return F.clip(F.add(F.cast(x, "float32"), noise), 0.0, 255.0)
