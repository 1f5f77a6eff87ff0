"""What lies beyond the edge of a picture, for stages that look at neighbours."""

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Primitives

__all__ = ["Border", "extend", "inside"]

T = TypeVar("T")

# Up to so many lines beyond the edges are cut out one by one.
FEW = 4

# "reflect": the picture mirrored at the centre of its last pixel, OpenCV's BORDER_REFLECT_101.
# "replicate": the last pixel again and again.
Border = Literal["reflect", "replicate"]


def extend(F: Primitives[T], x: T, axis: int, before: int, after: int, border: Border) -> T:
    """`x` with so many more elements along `axis`, made from those that are there."""
    length = F.shape(x)[axis]
    positions = inside(np.arange(-before, length + after), length, border)
    if before + after > FEW:
        return F.gather(x, axis, positions)
    # To gather single elements takes ONNX Runtime five times as long.
    outside = [*positions[:before].tolist(), *positions[before + length :].tolist()]
    if not outside:
        return x
    lines = [F.slice(x, axis, at, at + 1) for at in outside]
    return F.concat((*lines[:before], x, *lines[before:]), axis)


def inside(positions: NDArray[np.int64], length: int, border: Border) -> NDArray[np.int64]:
    """Which of `length` elements stands at each of `positions`, some of them beyond the edges."""
    if border == "replicate" or length == 1:
        return np.clip(positions, 0, length - 1)
    # A picture smaller than the border is mirrored again and again.
    positions = np.abs(positions) % (2 * length - 2)
    return np.minimum(positions, 2 * length - 2 - positions)
