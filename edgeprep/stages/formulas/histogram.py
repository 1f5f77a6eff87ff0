"""Histograms and tables by operations that every engine has, where scatter and sort differ."""

from typing import TypeVar

import numpy as np

from edgeprep.interfaces import Primitives

__all__ = ["accumulate", "histogram", "ranked"]

T = TypeVar("T")

LEVELS = 256
NIBBLE = 16


def histogram(F: Primitives[T], x: T) -> T:
    """`F.histogram` in terms of the other primitives.

    Each level is split into two digits of 16; the product of their one-hot forms counts every pair
    of digits, which is every level. Counts are exact up to 2**24 pixels.
    """
    batch, pixels = F.shape(x)
    digits = np.arange(NIBBLE, dtype=np.float32)[:, None]
    high = F.floor(F.multiply(x, 1 / NIBBLE))
    low = F.subtract(x, F.multiply(high, float(NIBBLE)))
    rows, columns = (F.equal(F.reshape(digit, (batch, 1, pixels)), digits) for digit in (high, low))
    counts = F.matmul(rows, F.transpose(columns, (0, 2, 1)))
    return F.reshape(counts, (batch, LEVELS))


def accumulate(F: Primitives[T], counts: T) -> T:
    """`(…, 256)` to the sums of all elements up to each one; exact for whole sums below 2**24.

    In 16 rows of 16: one matrix for all would add 256 kB to a graph.
    """
    shape = F.shape(counts)
    rows = F.reshape(counts, (*shape[:-1], NIBBLE, NIBBLE))
    within = F.matmul(rows, np.triu(np.ones((NIBBLE, NIBBLE), np.float32)))
    totals = F.slice(within, len(shape), NIBBLE - 1, NIBBLE)
    before = F.matmul(np.tril(np.ones((NIBBLE, NIBBLE), np.float32), -1), totals)
    return F.reshape(F.add(within, before), shape)


def ranked(F: Primitives[T], x: T, rank: int) -> T:
    """`F.ranked` in terms of the other primitives: eight halvings, thrice as fast as counting."""
    _, pixels = F.shape(x)
    level = F.multiply(F.slice(x, 1, 0, 1), 0.0)
    for step in (128, 64, 32, 16, 8, 4, 2, 1):
        # What is above a whole number is so by 1 at least.
        above = F.clip(F.subtract(F.subtract(x, level), step - 1.0), 0.0, 1.0)
        is_below = F.greater(F.reduce_sum(above, (1,)), pixels - rank + 0.5)
        level = F.add(level, F.multiply(is_below, float(step)))
    return level
