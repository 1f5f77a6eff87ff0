"""A product and a sum for each channel, for engines that keep channels last."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Primitives

__all__ = ["scale_channels"]

T = TypeVar("T")


def scale_channels(
    F: Primitives[T], x: T, factor: NDArray[np.float32], offset: NDArray[np.float32]
) -> T:
    """`F.scale_channels` in terms of the other primitives.

    Rows are taken as they lie in memory, with the constants repeated for each pixel of one. To
    repeat three constants inside takes LiteRT 1.1 ms instead of 0.1, for 224×224 pixels.
    """
    x = F.cast(x, "float32")
    batch, height, width, channels = F.shape(x)
    if channels == 1:
        return F.add(F.multiply(x, float(factor[0])), float(offset[0]))
    rows = F.reshape(x, (batch, height, width * channels))
    rows = F.add(F.multiply(rows, np.tile(factor, width)), np.tile(offset, width))
    return F.reshape(rows, (batch, height, width, channels))
