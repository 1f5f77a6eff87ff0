"""Regions that grow step by step, by operations that every engine is fast at."""

from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["grow"]

T = TypeVar("T")


def grow(F: Primitives[T], seeds: T, within: T, steps: int) -> T:
    """`F.grow` in terms of the other primitives.

    Pooling takes OpenVINO and TFLite four times as long on one channel. So rows lie one after the
    other, with a zero between them, and neighbours are the same numbers shifted.
    """
    batch, height, width = F.shape(seeds)
    pitch = width + 1
    length = height * pitch
    reached, allowed = (
        F.reshape(F.pad(each, 2, 0, 1, 0), (batch, length)) for each in (seeds, within)
    )
    for _ in range(steps):
        wide = F.pad(reached, 1, pitch + 1, pitch + 1, 0)
        across = _greatest_of_three(F, wide, 1, length + 2 * pitch)
        reached = F.multiply(_greatest_of_three(F, across, pitch, length), allowed)
    return F.slice(F.reshape(reached, (batch, height, pitch)), 2, 0, width)


def _greatest_of_three(F: Primitives[T], x: T, distance: int, length: int) -> T:
    first, second, third = (
        F.slice(x, 1, start, start + length) for start in (0, distance, 2 * distance)
    )
    return F.maximum(F.maximum(first, second), third)
