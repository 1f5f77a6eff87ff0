"""Cut out the middle of a picture."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import Length, limit_pixels, need_channels_last
from edgeprep.tensors import ImageSpec

__all__ = ["CenterCrop"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterCrop(Stage):
    """Keep the middle `size`; of an odd remainder, the smaller half goes at the top and left.

    Attributes:
        size: `(height, width)` in pixels, at most 16384 each and 67 million (2^26) together.

    Source: offset `floor(d / 2)`; torchvision rounds half to even, which differs by one pixel for
    every second odd remainder (tests/stages/test_geometry.py).
    """

    name: ClassVar[str] = "center-crop"

    size: tuple[Length, Length]

    def __post_init__(self) -> None:
        limit_pixels("size: must have", *self.size)

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at `size`."""
        need_channels_last(image)
        arriving = [image.height, image.width]
        for length, keep in zip(arriving, self.size, strict=True):
            if length is not None and length < keep:
                rule = f"needs pictures of at least {list(self.size)!r} pixels"
                raise RecipeError(f"{rule}, got {arriving!r}; resize first")
        return image.replace(height=self.size[0], width=self.size[1])

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, height, width, C)`, the same dtype.

        Raises:
            ShapeError: the pictures are smaller than the crop.
        """
        _, height, width, _ = F.shape(x)
        if height < self.size[0] or width < self.size[1]:
            rule = f"picture: must have at least {self.size!r} pixels (height, width)"
            raise ShapeError(f"{rule} to be cropped, got {(height, width)!r}")
        for axis, (length, keep) in enumerate(zip((height, width), self.size, strict=True), 1):
            start = (length - keep) // 2
            if length != keep:
                x = F.slice(x, axis, start, start + keep)
        return x
