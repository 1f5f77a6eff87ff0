"""Vary the brightness, contrast, saturation and hue of pictures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta
from numpy.random import Generator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.random.adjust import Brightness, Contrast, Hue, Saturation
from edgeprep.stages.random.chance import Probability, happens
from edgeprep.stages.requirements import (
    COLORS,
    need_channels_last,
    need_color,
    need_range,
)
from edgeprep.tensors import ImageSpec

__all__ = ["RandomColorJitter"]

Amount = Annotated[float, Meta(ge=0, le=10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomColorJitter(RandomStage):
    """Change up to four properties by random factors, in random order.

    The factor of `brightness = 0.4` is anything in 0.6 to 1.4; none goes below 0.

    Attributes:
        brightness: how far the factor may be from 1; 0 leaves brightness alone. At most 10, as all.
        contrast: likewise, around the mean grey level.
        saturation: likewise, around the grey of each pixel.
        hue: how far it may turn either way, in full turns, at most 0.5.
        probability: of any change, 0 to 1.

    Source: torchvision's ColorJitter, without its rounding between steps
    (tests/stages/test_color_jitter.py).
    """

    name: ClassVar[str] = "color-jitter"

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    probability: Probability = 1.0

    def __post_init__(self) -> None:
        if not any((self.brightness, self.contrast, self.saturation, self.hue)):
            raise RecipeError("needs some of brightness, contrast, saturation and hue, got none")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        if image.color == "grey" and (self.saturation or self.hue):
            remedy = "leave saturation and hue out"
            raise RecipeError(f"needs rgb or bgr pictures, got 'grey'; {remedy}")
        return image.replace(dtype="float32")

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One change of each property that is to vary, or none at all."""
        if not happens(generator, self.probability):
            return ()
        changes: list[Stage] = []
        if self.brightness:
            changes.append(Brightness(factor=_factor(generator, self.brightness)))
        if self.contrast:
            changes.append(Contrast(factor=_factor(generator, self.contrast)))
        if self.saturation:
            changes.append(Saturation(factor=_factor(generator, self.saturation)))
        if self.hue:
            changes.append(Hue(turn=generator.uniform(-self.hue, self.hue)))
        return tuple(changes[index] for index in generator.permutation(len(changes)))


def _factor(generator: Generator, amount: float) -> float:
    return generator.uniform(max(1 - amount, 0.0), 1 + amount)
