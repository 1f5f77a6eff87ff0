"""Cut out the middle of a picture."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import limit_pixels, need_channels_last
from edgeprep.tensors import ImageSpec, Length

__all__ = ["CenterCrop"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterCrop(Stage):
    """Keep the middle `size`; of an odd remainder, the smaller half goes at the top and left.

    Attributes:
        size: `(height, width)` in pixels, at most 16384 each and 67 million (2^26) together.
        rounding: of half the remainder d: "floor", or "torchvision", which rounds halves to even
            and so starts one pixel later for d = 3, 7, 11 and so on.

    Source: torchvision's `int(round(d / 2))` (tests/stages/test_geometry.py).
    """

    name: ClassVar[str] = "center-crop"

    size: tuple[Length, Length]
    rounding: Literal["floor", "torchvision"] = "floor"

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
            start = self._start(length, keep)
            if length != keep:
                x = F.slice(x, axis, start, start + keep)
        return x

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The offset added."""
        top, left = map(self._start, image.size, self.size)
        return (Affine.scaled(1.0, 1.0, left, top),)

    def _start(self, length: int, keep: int) -> int:
        if self.rounding == "floor":
            return (length - keep) // 2
        return round((length - keep) / 2)
