"""Regions that grow step by step, by operations that every engine is fast at."""

from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["grow"]

T = TypeVar("T")


def grow(F: Primitives[T], seeds: T, within: T, steps: int) -> T:
    """`F.grow` in terms of the other primitives.

    Pooling takes OpenVINO and TFLite four times as long on one channel. So rows lie one after the
    other, with a zero between them, and neighbours are the same numbers shifted. As bytes, where an
    engine has their maximum, which halves the time.
    """
    batch, height, width = F.shape(seeds)
    pitch = width + 1
    length = height * pitch
    reached, allowed = (
        F.reshape(F.pad(each, 2, 0, 1, 0), (batch, length)) for each in (seeds, within)
    )
    allowed = F.cast(allowed, F.level_type)
    wide = F.cast(F.pad(reached, 1, pitch + 1, pitch + 1, 0), F.level_type)
    beyond = F.slice(wide, 1, 0, pitch + 1)
    for step in range(steps):
        if step:
            wide = F.concat((beyond, reached, beyond), 1)
        down = _greatest_of_three(F, wide, pitch, length + 2)
        reached = F.minimum(_greatest_of_three(F, down, 1, length), allowed)
    reached = F.reshape(F.cast(reached, "float32"), (batch, height, pitch))
    return F.slice(reached, 2, 0, width)


def _greatest_of_three(F: Primitives[T], x: T, distance: int, length: int) -> T:
    first, second, third = (
        F.slice(x, 1, start, start + length) for start in (0, distance, 2 * distance)
    )
    return F.maximum(F.maximum(first, second), third)
