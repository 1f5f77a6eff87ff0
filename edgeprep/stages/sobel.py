"""Edges by the Sobel operator."""

from dataclasses import dataclass
from typing import ClassVar

from edgeprep.stages.gradients import Gradient

__all__ = ["Sobel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sobel(Gradient):
    """The gradient of the grey picture: differences weighted 1, 2, 1 across.

    Whole levels 0 to 255 come out, clipped; the picture is mirrored at its edges. Colours become
    grey first, and values that are not whole are rounded, halves up.

    Attributes:
        result: "magnitude", the length of the gradient, rounded; "dx", what grows to the right, or
            "dy", what grows downwards, with 128 where nothing does.

    Source: OpenCV's Sobel of 3 × 3 on OpenCV's grey, the same in every pixel
    (tests/stages/test_gradients.py).
    """

    name: ClassVar[str] = "sobel"
    across: ClassVar[tuple[float, float, float]] = (1.0, 2.0, 1.0)
