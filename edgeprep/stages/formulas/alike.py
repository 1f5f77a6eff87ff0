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
    batch, height, row, _ = F.shape(x)
    border = reach + margin
    rows = height - 2 * border
    planes = _in_lines(F, x, spare=2 * border)
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
        total = _give_both(F, total, weight, step, F.add)
        if margin:
            inside = spread, spread + length + step
            differences = [F.slice(difference, 1, *inside) for difference in differences]
        # Seen from the second pixel of a pair, the difference is the other way round.
        shifts = [
            _give_both(F, shift, F.multiply(difference, weight), step, F.subtract)
            for shift, difference in zip(shifts, differences, strict=True)
        ]
    means = [
        F.reshape(F.add(middle, F.divide(shift, total)), (batch, rows, row, 1))
        for middle, shift in zip(middles, shifts, strict=True)
    ]
    # What came from beyond the end of a row is cut off.
    return F.slice(F.concat(means, 3), 2, 0, row - 2 * border)


def _in_lines(F: Primitives[T], x: T, *, spare: int) -> list[T]:
    """Each channel of `(N, H, W, C)` with all rows in a line and some `spare` elements at its end.

    An offset is then a shift along one axis, which every engine is quick at.
    """
    batch, height, row, channels = F.shape(x)
    lines = F.reshape(x, (batch, height * row, channels))
    planes = [
        F.reshape(F.slice(lines, 2, channel, channel + 1), (batch, height * row))
        for channel in range(channels)
    ]
    return [F.concat((plane, F.slice(plane, 1, 0, spare)), 1) for plane in planes]


def _give_both(F: Primitives[T], x: T, pairs: T, step: int, to_second: Callable[[T, T], T]) -> T:
    """Each pixel of `x` with what `pairs` have for it: all pairs are `step` elements apart.

    Args:
        F: the interpreter.
        x: `(N, P)`.
        pairs: `(N, P + step)`; what has element `i` as its second pixel is at `i`.
        step: how much later in a line the second pixel is.
        to_second: `F.add` or `F.subtract`; to the first pixel it is added.
    """
    length = F.shape(x)[1]
    x = F.add(x, F.slice(pairs, 1, step, step + length))
    return to_second(x, F.slice(pairs, 1, 0, length))
