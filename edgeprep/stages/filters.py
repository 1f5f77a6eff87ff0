"""Linear filters along one axis, as sums of shifted pictures: the same in every engine.

Depthwise convolutions of three channels are slow in TFLite, and a sum of slices is never slower
than the rest; the order of additions is part of the definition.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

import numpy as np

from edgeprep.interfaces import Primitives
from edgeprep.stages.borders import Border, extend

__all__ = ["correlate", "gaussian_weights", "smooth"]

T = TypeVar("T")


def correlate(
    F: Primitives[T], x: T, axis: int, weights: Sequence[float], border: Border = "reflect"
) -> T:
    """`(N, H, W, C)`, float32, with each element replaced by a weighted sum of its neighbours.

    Args:
        F: the interpreter.
        x: pictures.
        axis: 1 for rows, 2 for columns.
        weights: an odd number of them; the middle one is that of the element itself.
        border: what lies beyond the edge.
    """
    radius = len(weights) // 2
    length = F.shape(x)[axis]
    wide = extend(F, x, axis, radius, radius, border)
    total: T | None = None
    for offset in range(radius + 1):
        weight, mirrored = weights[offset], weights[2 * radius - offset]
        part = F.slice(wide, axis, offset, offset + length)
        other = F.slice(wide, axis, 2 * radius - offset, 2 * radius - offset + length)
        if offset == radius:
            term = F.multiply(part, weight)
        elif weight == mirrored:
            term = F.multiply(F.add(part, other), weight)
        elif weight == -mirrored:
            term = F.multiply(F.subtract(part, other), weight)
        else:
            term = F.add(F.multiply(part, weight), F.multiply(other, mirrored))
        if weight == mirrored == 0.0:
            continue
        total = term if total is None else F.add(total, term)
    return F.multiply(x, 0.0) if total is None else total


def smooth(F: Primitives[T], x: T, weights: Sequence[float], border: Border = "reflect") -> T:
    """`x` filtered by the same `weights` along rows and columns."""
    return correlate(F, correlate(F, x, 1, weights, border), 2, weights, border)


def gaussian_weights(sigma: float, radius: int | None = None) -> tuple[float, ...]:
    """A Gaussian of standard deviation `sigma` pixels, cut at `radius` and brought to sum 1.

    Args:
        sigma: in pixels, above 0.
        radius: None: `ceil(3 · sigma)`, beyond which 0.3 % of the weight lies.

    Source: with a radius, OpenCV's getGaussianKernel(2 · radius + 1, sigma).
    """
    reach = ceil(3 * sigma) if radius is None else radius
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return tuple((weights / weights.sum()).tolist())
