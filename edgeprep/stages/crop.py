"""Cut out a rectangle at a known place."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import limit_pixels, need_channels_last
from edgeprep.tensors import LONGEST_SIDE, ImageSpec, Length

__all__ = ["Crop"]

T = TypeVar("T")

Offset = Annotated[int, Meta(ge=0, le=LONGEST_SIDE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Stage):
    """Keep the rectangle of `size` that starts `top` pixels down and `left` pixels across.

    Attributes:
        top: rows above the rectangle, which are left out.
        left: columns beside it, which are left out.
        size: `(height, width)` in pixels, at most 16384 each and 67 million (2^26) together.
    """

    name: ClassVar[str] = "crop"

    size: tuple[Length, Length]
    top: Offset = 0
    left: Offset = 0

    def __post_init__(self) -> None:
        limit_pixels("size: must have", *self.size)

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at `size`."""
        need_channels_last(image)
        arriving = [image.height, image.width]
        for length, end in zip(arriving, self._end, strict=True):
            if length is not None and length < end:
                rule = f"needs pictures of at least {list(self._end)!r} pixels"
                raise RecipeError(f"{rule}, got {arriving!r}; make top, left or size smaller")
        return image.replace(height=self.size[0], width=self.size[1])

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, height, width, C)`, the same dtype.

        Raises:
            ShapeError: the rectangle does not lie within the pictures.
        """
        _, *arriving, _ = F.shape(x)
        starts = self.top, self.left
        for length, end in zip(arriving, self._end, strict=True):
            if length < end:
                rule = f"picture: must have at least {self._end!r} pixels (height, width)"
                raise ShapeError(f"{rule} to be cropped, got {tuple(arriving)!r}")
        for axis, (start, end) in enumerate(zip(starts, self._end, strict=True), start=1):
            if end - start != arriving[axis - 1]:
                x = F.slice(x, axis, start, end)
        return x

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The offset added."""
        return (Affine.scaled(1.0, 1.0, self.left, self.top),)

    @property
    def _end(self) -> tuple[int, int]:
        return self.top + self.size[0], self.left + self.size[1]
