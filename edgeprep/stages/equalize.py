"""Histogram equalisation."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.division import exact_quotient
from edgeprep.stages.formulas.histogram import accumulate
from edgeprep.stages.levels import change_luma, need_luma
from edgeprep.tensors import ImageSpec

__all__ = ["Equalize"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equalize(Stage):
    """Spread the grey levels so that all of them are used about equally often.

    Colour pictures are equalised in brightness, Y of YCrCb or L of Lab; their colours stay.
    Values that are not whole are rounded first, halves up; whole levels come out.

    Source: grey is equal to OpenCV's equalizeHist in every pixel; colour is within 2 levels of
    OpenCV's way to YCrCb and back, which rounds twice (tests/stages/test_equalize.py).
    """

    name: ClassVar[str] = "equalize"
    looks_everywhere: ClassVar[bool] = True

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures in float32."""
        need_luma(image)
        return image.replace(dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)` to the same shape, float32."""
        return change_luma(F, x, image, lambda levels: _equalized(F, levels))


def _equalized(F: Primitives[T], levels: T) -> T:
    batch, height, width, _ = F.shape(levels)
    pixels = F.reshape(levels, (batch, height * width))
    counts = F.histogram(pixels)
    every_level = F.add(F.multiply(counts, 0.0), np.arange(256, dtype=np.float32))
    is_first = F.equal(every_level, F.reduce_min(pixels, (1,)))
    # How many pixels are at the least level, which becomes 0, and how many are above it.
    first = F.reduce_sum(F.multiply(counts, is_first), (1,))
    above = F.add(F.multiply(first, -1.0), float(height * width))
    whole = F.add(F.multiply(first, 0.0), 255.0)
    scale = exact_quotient(F, whole, F.maximum(above, 1.0))
    shares = F.multiply(F.maximum(F.subtract(accumulate(F, counts), first), 0.0), scale)
    table = F.minimum(F.round(shares), 255.0)
    # A picture of one level stays as it is: its table is all zeros so far.
    flat = F.multiply(every_level, F.equal(above, 0.0))
    return F.lookup(F.add(table, flat), levels)
