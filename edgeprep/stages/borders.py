"""What lies beyond the edge of a picture, for stages that look at neighbours."""

from typing import Literal, TypeVar

import numpy as np

from edgeprep.interfaces import Primitives

__all__ = ["Border", "extend"]

T = TypeVar("T")

# "reflect": the picture mirrored at the centre of its last pixel, OpenCV's BORDER_REFLECT_101.
# "replicate": the last pixel again and again.
Border = Literal["reflect", "replicate"]


def extend(F: Primitives[T], x: T, axis: int, before: int, after: int, border: Border) -> T:
    """`x` with so many more elements along `axis`, made from those that are there."""
    length = F.shape(x)[axis]
    position = np.arange(-before, length + after)
    if border == "replicate" or length == 1:
        return F.gather(x, axis, np.clip(position, 0, length - 1))
    # A picture smaller than the border is mirrored again and again.
    position = np.abs(position) % (2 * length - 2)
    return F.gather(x, axis, np.minimum(position, 2 * length - 2 - position))
