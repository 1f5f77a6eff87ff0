"""Turn pictures by quarters at random."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta
from numpy.random import Generator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.random.chance import Probability, happens, whole
from edgeprep.stages.requirements import need_channels_last
from edgeprep.stages.rotate import Rotate
from edgeprep.tensors import ImageSpec

__all__ = ["RandomTurn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomTurn(RandomStage):
    """Turn some pictures by quarters, as for things seen from above, which have no top.

    As it is, each of the four ways is as likely as any other.

    Attributes:
        clockwise: the angles to choose among, in degrees. Pictures must be square for 90 and 270.
        probability: of a turn, 0 to 1.
    """

    name: ClassVar[str] = "random-turn"

    clockwise: Annotated[tuple[Literal[90, 180, 270], ...], Meta(min_length=1)] = (90, 180, 270)
    probability: Probability = 0.75

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same type."""
        need_channels_last(image)
        if image.is_fixed and image.height != image.width and {90, 270} & set(self.clockwise):
            remedy = "crop or resize to a square first, or set clockwise = [180]"
            raise RecipeError(f"needs square pictures, got {list(image.size)!r}; {remedy}")
        return image

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """One turn, or none."""
        if not happens(generator, self.probability):
            return ()
        chosen = self.clockwise[whole(generator, 0, len(self.clockwise) - 1)]
        return (Rotate(clockwise=chosen),)
