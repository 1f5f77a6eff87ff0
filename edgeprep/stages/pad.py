"""Add a border of one grey level."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import (
    COLORS,
    BorderWidth,
    Level,
    limit_picture,
    limit_pixels,
    need_channels_last,
    need_color,
    need_range,
)
from edgeprep.tensors import ImageSpec, Length

__all__ = ["Pad"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Stage):
    """Add borders of given widths, or those that centre the picture in `size`.

    No picture may become larger than 67 million pixels (2^26).

    Attributes:
        top: rows added above.
        bottom: rows added below.
        left: columns added at the left.
        right: columns added at the right.
        size: `(height, width)` to reach instead; of an odd remainder, the smaller half goes at the
            top and left.
        value: the grey level of the border, 0 to 255.
    """

    name: ClassVar[str] = "pad"

    top: BorderWidth = 0
    bottom: BorderWidth = 0
    left: BorderWidth = 0
    right: BorderWidth = 0
    size: tuple[Length, Length] | None = None
    value: Level = 0

    def __post_init__(self) -> None:
        borders = (self.top, self.bottom, self.left, self.right)
        if any(borders) == (self.size is not None):
            rule = "needs either size or some of top, bottom, left and right"
            raise RecipeError(f"{rule}, got {'both' if self.size else 'neither'}")
        if self.size is not None:
            limit_pixels("size: must have", *self.size)

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures with their borders, float32."""
        need_channels_last(image)
        need_color(image, *COLORS)
        need_range(image, "0..255")
        arriving = [height, width] = [image.height, image.width]
        if self.size is None:
            if height is not None:
                height += self.top + self.bottom
            if width is not None:
                width += self.left + self.right
            if height is not None and width is not None:
                limit_pixels("must make", height, width)
            return image.replace(height=height, width=width, dtype="float32")
        for length, full in zip(arriving, self.size, strict=True):
            if length is not None and length > full:
                rule = f"needs pictures of at most {list(self.size)!r} pixels"
                raise RecipeError(f"{rule}, got {arriving!r}; resize or crop first")
        return image.replace(height=self.size[0], width=self.size[1], dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32.

        Raises:
            ShapeError: the pictures are larger than `size`.
            ImageTooLarge: they would become larger than 67 million pixels.
        """
        _, height, width, _ = F.shape(x)
        borders = (above, below), (left, right) = self._borders(height, width)
        limit_picture("padded", (above + height + below, left + width + right), (height, width))
        # TFLite has no plain uint8 padding.
        x = F.cast(x, "float32")
        for axis, (before, after) in enumerate(borders, start=1):
            if before or after:
                x = F.pad(x, axis, before, after, self.value)
        return x

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The borders taken off."""
        (above, _), (left, _) = self._borders(*image.size)
        return (Affine.scaled(1.0, 1.0, -left, -above),)

    def _borders(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        if self.size is None:
            return (self.top, self.bottom), (self.left, self.right)
        down, across = self.size[0] - height, self.size[1] - width
        if down < 0 or across < 0:
            rule = f"picture: must have at most {self.size!r} pixels (height, width)"
            raise ShapeError(f"{rule} to be padded, got {(height, width)!r}")
        return (down // 2, down - down // 2), (across // 2, across - across // 2)
