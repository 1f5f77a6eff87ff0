"""Turn a picture by quarters."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import need_channels_last
from edgeprep.tensors import ImageSpec

__all__ = ["Rotate"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate(Stage):
    """Turn every picture clockwise, as for a camera that is mounted on its side.

    Attributes:
        clockwise: by how many degrees: 90 brings the left edge to the top, 180 turns upside down,
            270 brings the right edge to the top.

    Source: equal to OpenCV's ROTATE_90_CLOCKWISE, ROTATE_180 and ROTATE_90_COUNTERCLOCKWISE
    (tests/stages/test_rotate.py).
    """

    name: ClassVar[str] = "rotate"

    clockwise: Literal[90, 180, 270]

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures; a quarter swaps height and width."""
        need_channels_last(image)
        if self.clockwise == 180:
            return image
        return image.replace(height=image.width, width=image.height)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same dtype, `(N, W, H, C)` for 90 and 270 degrees."""
        if self.clockwise == 180:
            return F.reverse(F.reverse(x, 1), 2)
        return F.reverse(F.transpose(x, (0, 2, 1, 3)), 2 if self.clockwise == 90 else 1)

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The same angle the other way."""
        height, width = image.size
        turns = {
            90: Affine((0.0, 1.0, 0.0), (-1.0, 0.0, height)),
            180: Affine.scaled(-1.0, -1.0, width, height),
            270: Affine((0.0, -1.0, width), (1.0, 0.0, 0.0)),
        }
        return (turns[self.clockwise],)
