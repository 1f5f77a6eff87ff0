"""Means of pixels weighted by how alike they are, pair by pair."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from msgspec import Meta

from edgeprep.interfaces import Primitives

__all__ = ["Levels", "half_square", "mean_of_alike"]

T = TypeVar("T")

# In grey levels: how far apart are those that still count as alike.
Levels = Annotated[float, Meta(ge=0.1, le=1000.0)]

# How far the second pixel of a pair is from the first: (down, right).
Offset = tuple[int, int]


def half_square(radius: int) -> list[Offset]:
    """All offsets of at most `radius` down or across of which no two are opposite or nothing."""
    across = range(-radius, radius + 1)
    beside = [(0, right) for right in range(1, radius + 1)]
    return beside + [(down, right) for down in range(1, radius + 1) for right in across]


def mean_of_alike(
    F: Primitives[T],
    x: T,
    offsets: Sequence[Offset],
    weigh: Callable[[Sequence[T], Offset, int], T],
    *,
    reach: int,
    margin: int = 0,
) -> T:
    """Each pixel with those at `offsets` from it, there and back, averaged by their weights.

    The mean is the pixel, whose own weight is 1, plus the weighted mean of the differences from it.
    Those of two pixels serve both of them, so that one of two opposite offsets is enough.

    Args:
        F: the interpreter.
        x: `(N, H + 2 (reach + margin), W + 2 (reach + margin), C)`, float32.
        offsets: none of them opposite to another, none further than `reach` down or across.
        weigh: takes the differences of pairs, an offset and the length of a row to the weights of
            the pairs. Of the differences there is `(N, P)` for each channel, row after row; of the
            weights there are `margin` rows and pixels less before and after.
        reach: in pixels.
        margin: how far around a pixel `weigh` looks, in pixels.

    Returns:
        `(N, H, W, C)`, float32.
    """
    batch, height, row, channels = F.shape(x)
    border = reach + margin
    rows = height - 2 * border
    # One channel at a time, all rows in a line: an offset is then a shift along one axis, which
    # every engine is quick at. What comes from beyond the end of a row is cut off at last.
    lines = F.reshape(x, (batch, height * row, channels))
    planes = [
        F.reshape(F.slice(lines, 2, channel, channel + 1), (batch, height * row))
        for channel in range(channels)
    ]
    planes = [F.concat((plane, F.slice(plane, 1, 0, 2 * border)), 1) for plane in planes]
    start, length, spread = border * (row + 1), rows * row, margin * (row + 1)
    middles = [F.slice(plane, 1, start, start + length) for plane in planes]
    total = F.add(F.multiply(middles[0], 0.0), 1.0)
    shifts = [F.multiply(middle, 0.0) for middle in middles]
    for down, right in offsets:
        step = down * row + right
        # The first pixels of all pairs of which at least one is inside the borders.
        low, high = start - spread - step, start + spread + length
        differences = [
            F.subtract(F.slice(plane, 1, low + step, high + step), F.slice(plane, 1, low, high))
            for plane in planes
        ]
        weight = weigh(differences, (down, right), row)
        total = F.add(total, F.slice(weight, 1, step, step + length))
        total = F.add(total, F.slice(weight, 1, 0, length))
        for channel, difference in enumerate(differences):
            if margin:
                difference = F.slice(difference, 1, spread, spread + length + step)
            weighted = F.multiply(difference, weight)
            shift = F.add(shifts[channel], F.slice(weighted, 1, step, step + length))
            shifts[channel] = F.subtract(shift, F.slice(weighted, 1, 0, length))
    means = [
        F.reshape(F.add(middle, F.divide(shift, total)), (batch, rows, row, 1))
        for middle, shift in zip(middles, shifts, strict=True)
    ]
    return F.slice(F.concat(means, 3), 2, 0, row - 2 * border)
