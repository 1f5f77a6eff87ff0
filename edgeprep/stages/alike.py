"""Means of pixels weighted by how alike they are, pair by pair."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["half_square", "mean_of_alike"]

T = TypeVar("T")

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
    weigh: Callable[[Sequence[T], Offset], T],
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
        weigh: takes the differences of pairs, `(N, h + 2 · margin, w + 2 · margin)` for each
            channel, to their weights, `(N, h, w)`.
        reach: in pixels.
        margin: how far around a pixel `weigh` looks, in pixels.

    Returns:
        `(N, H, W, C)`, float32.
    """
    batch, high, wide, channels = F.shape(x)
    border = reach + margin
    inside = (high - 2 * border, wide - 2 * border)
    # One channel at a time: engines are slow at pictures whose last axis is short.
    planes = [
        F.reshape(F.slice(x, 3, channel, channel + 1), (batch, high, wide))
        for channel in range(channels)
    ]
    middles = [_part(F, plane, (border, border), inside) for plane in planes]
    total = F.add(F.multiply(middles[0], 0.0), 1.0)
    shifts = [F.multiply(middle, 0.0) for middle in middles]
    for down, right in offsets:
        # Every pair of pixels of which at least one is inside the borders, and their margins.
        top, left = reach - down, reach - max(right, 0)
        pairs = (inside[0] + down, inside[1] + abs(right))
        size = (pairs[0] + 2 * margin, pairs[1] + 2 * margin)
        differences = [
            F.subtract(
                _part(F, plane, (top + down, left + right), size),
                _part(F, plane, (top, left), size),
            )
            for plane in planes
        ]
        weight = weigh(differences, (down, right))
        # Where the pixels inside are the first of their pair, and where they are the second.
        first, second = (down, max(right, 0)), (0, max(-right, 0))
        total = F.add(total, _part(F, weight, first, inside))
        total = F.add(total, _part(F, weight, second, inside))
        for channel, difference in enumerate(differences):
            weighted = F.multiply(_part(F, difference, (margin, margin), pairs), weight)
            shift = F.add(shifts[channel], _part(F, weighted, first, inside))
            shifts[channel] = F.subtract(shift, _part(F, weighted, second, inside))
    means = [
        F.reshape(F.add(middle, F.divide(shift, total)), (batch, *inside, 1))
        for middle, shift in zip(middles, shifts, strict=True)
    ]
    return F.concat(means, 3)


def _part(F: Primitives[T], plane: T, start: tuple[int, int], size: tuple[int, int]) -> T:
    """`(N, height, width)` of `plane`, from row and column `start`."""
    whole = F.shape(plane)[1:]
    for axis, (first, length, full) in enumerate(zip(start, size, whole, strict=True), start=1):
        if length != full:
            plane = F.slice(plane, axis, first, first + length)
    return plane
