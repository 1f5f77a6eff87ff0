"""Fit a picture into a size, with borders where its aspect ratio is another."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta

from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.requirements import Level
from edgeprep.stages.resize import METHODS, Library, Resize
from edgeprep.tensors import ImageSpec, Length

__all__ = ["Letterbox"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox(Stage):
    """Resize with mode "letterbox", under the name that detectors give it.

    `r = min(height / H, width / W)`; the picture becomes `H · r` by `W · r` pixels, halves to even,
    in the middle of `size`; of an odd remainder, the smaller half goes at the top and left.

    Attributes:
        size: `(height, width)` in pixels.
        fill: the grey level of the borders, 0 to 255.
        method: as for `resize`.
        antialias: as for `resize`.
        like: as for `resize`.
    """

    name: ClassVar[str] = "letterbox"

    size: tuple[Length, Length]
    fill: Level = 114
    method: Annotated[str, Meta(extra_json_schema={"enum": list(METHODS)})] = "bilinear"
    antialias: bool | None = None
    like: Library | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "antialias", self._resize.antialias)

    @property
    def host_primitives(self) -> tuple[str, ...]:
        """As for `resize`."""
        return self._resize.host_primitives

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at `size`, float32."""
        return self._resize.output(image)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32."""
        return self._resize.apply(F, x, image)

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The borders taken off, and the scale undone."""
        return self._resize.backward(image)

    @property
    def _resize(self) -> Resize:
        return Resize(
            size=self.size,
            method=self.method,
            antialias=self.antialias,
            like=self.like,
            mode="letterbox",
            fill=self.fill,
        )
