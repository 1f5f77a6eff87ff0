"""Edges by the Laplacian."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.gradients import MIDDLE, edge_picture, laplacian
from edgeprep.stages.levels import grey_levels
from edgeprep.tensors import ImageSpec

__all__ = ["Laplacian"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplacian(Stage):
    """The four neighbours of each grey pixel minus four times itself.

    Whole levels 0 to 255 come out, clipped; the picture is mirrored at its edges. Colours become
    grey first, and values that are not whole are rounded, halves up.

    Attributes:
        result: "absolute", without signs; or "signed", with 128 where there is no edge.

    Source: OpenCV's Laplacian with ksize 1 on OpenCV's grey, the same in every pixel
    (tests/stages/test_gradients.py).
    """

    name: ClassVar[str] = "laplacian"

    result: Literal["absolute", "signed"] = "absolute"

    def output(self, image: ImageSpec) -> ImageSpec:
        """Grey pictures of the same size, float32."""
        return edge_picture(image)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to `(N, H, W, 1)`, float32, whole levels."""
        edges = laplacian(F, grey_levels(F, x, image))
        if self.result == "signed":
            return F.clip(F.add(edges, MIDDLE), 0.0, 255.0)
        return F.minimum(F.absolute(edges), 255.0)
