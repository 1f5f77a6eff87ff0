"""Cut a rectangle out of pictures at random places."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.crop import Crop
from edgeprep.stages.pad import Pad
from edgeprep.stages.random.chance import whole
from edgeprep.stages.requirements import (
    COLORS,
    BorderWidth,
    Level,
    limit_pixels,
    need_channels_last,
    need_color,
    need_range,
)
from edgeprep.tensors import ImageSpec, Length

__all__ = ["RandomCrop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCrop(RandomStage):
    """Keep a rectangle of `size`, every place being as likely as any other.

    Attributes:
        size: `(height, width)` in pixels, at most 16384 each and 67 million (2^26) together.
        padding: how far the rectangle may lie outside of the picture, in pixels; less than both
            sides of `size`.
        fill: the grey level of what is outside, 0 to 255.

    Source: torchvision's RandomCrop, with `padding` on all four sides.
    """

    name: ClassVar[str] = "random-crop"

    size: tuple[Length, Length]
    padding: BorderWidth = 0
    fill: Level = 0

    def __post_init__(self) -> None:
        limit_pixels("size: must have", *self.size)
        if self.padding >= min(self.size):
            rule = f"must be less than both sides of size, {list(self.size)!r}"
            raise RecipeError(f"padding: {rule}, got {self.padding!r}")

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at `size`; float32 where there is padding."""
        need_channels_last(image)
        if self.padding:
            need_color(image, *COLORS)
            need_range(image, "0..255")
            image = image.replace(dtype="float32")
        arriving = [image.height, image.width]
        for length, keep in zip(arriving, self.size, strict=True):
            if length is not None and length + 2 * self.padding < keep:
                least = [max(keep - 2 * self.padding, 1) for keep in self.size]
                rule = f"needs pictures of at least {least!r} pixels"
                raise RecipeError(f"{rule}, got {arriving!r}; resize first, or raise padding")
        return image.replace(height=self.size[0], width=self.size[1])

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """A crop to what of the rectangle is in the picture, and a border for what is not."""
        inside, before, after = [], [], []
        for length, keep in zip(image.size, self.size, strict=True):
            start = whole(generator, -self.padding, length + self.padding - keep)
            stop = start + keep
            inside.append((max(start, 0), min(stop, length)))
            before.append(max(-start, 0))
            after.append(max(stop - length, 0))
        (top, bottom), (left, right) = inside
        crop = Crop(size=(bottom - top, right - left), top=top, left=left)
        if not any(before + after):
            return (crop,)
        (above, beside), (below, beyond) = before, after
        pad = Pad(top=above, left=beside, bottom=below, right=beyond, value=self.fill)
        return (crop, pad)
