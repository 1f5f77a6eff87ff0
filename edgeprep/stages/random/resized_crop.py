"""Cut rectangles of random size and shape out of pictures and resize them to one size."""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Annotated, ClassVar, Literal

from msgspec import Meta
from numpy.random import Generator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.crop import Crop
from edgeprep.stages.random.chance import whole
from edgeprep.stages.requirements import limit_pixels
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec, Length

__all__ = ["RandomResizedCrop"]

# After so many rectangles that do not fit, torchvision takes the middle of the picture.
ATTEMPTS = 10

Share = Annotated[float, Meta(gt=0, le=1)]
Ratio = Annotated[float, Meta(ge=0.01, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomResizedCrop(RandomStage):
    """Take a part of the picture, of random area and aspect ratio, and resize it to `size`.

    Attributes:
        size: `(height, width)` in pixels, at most 16384 each and 67 million (2^26) together.
        scale: the least and the greatest area of the part, as shares of the picture, above 0 and
            at most 1.
        ratio: the least and the greatest width of the part in terms of its height.
        method: as of the stage resize: that which the recipe resizes by should be taken.
        antialias: as of the stage resize.

    Source: torchvision's RandomResizedCrop.get_params (tests/stages/test_random_crops.py): up to
    ten tries, then the middle, of a ratio as near as possible.
    """

    name: ClassVar[str] = "random-resized-crop"

    size: tuple[Length, Length]
    scale: tuple[Share, Share] = (0.08, 1.0)
    ratio: tuple[Ratio, Ratio] = (3 / 4, 4 / 3)
    method: Literal["bilinear", "area", "bicubic"] = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        limit_pixels("size: must have", *self.size)
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if low > high:
                raise RecipeError(f"{name}: must be in ascending order, got {[low, high]!r}")
        self._resize()

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at `size`, float32."""
        return self._resize().output(image)

    def draw(self, generator: Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """A crop and a resize."""
        return (self._part(generator, *image.size), self._resize())

    def _part(self, generator: Generator, height: int, width: int) -> Crop:
        for _ in range(ATTEMPTS):
            area = height * width * generator.uniform(*self.scale)
            low, high = self.ratio
            ratio = exp(generator.uniform(log(low), log(high)))
            rows, columns = round(sqrt(area / ratio)), round(sqrt(area * ratio))
            if 0 < rows <= height and 0 < columns <= width:
                top = whole(generator, 0, height - rows)
                left = whole(generator, 0, width - columns)
                return Crop(size=(rows, columns), top=top, left=left)
        low, high = self.ratio
        rows, columns = height, width
        if width < height * low:
            rows = max(round(width / low), 1)
        elif width > height * high:
            columns = max(round(height * high), 1)
        return Crop(size=(rows, columns), top=(height - rows) // 2, left=(width - columns) // 2)

    def _resize(self) -> Resize:
        return Resize(size=self.size, method=self.method, antialias=self.antialias)
