"""Histograms and tables by operations that every engine has, where scatter and sort differ."""

from typing import TypeVar

import numpy as np

from edgeprep.interfaces import Primitives

__all__ = ["accumulate", "histogram"]

T = TypeVar("T")

LEVELS = 256
NIBBLE = 16


def histogram(F: Primitives[T], x: T) -> T:
    """`F.histogram` in terms of the other primitives.

    Each level is split into two digits of 16; the product of their one-hot forms counts every pair
    of digits, which is every level. Counts are exact up to 2**24 pixels.
    """
    batch, pixels = F.shape(x)
    digits = np.arange(NIBBLE, dtype=np.float32)
    high = F.floor(F.multiply(x, 1 / NIBBLE))
    low = F.subtract(x, F.multiply(high, float(NIBBLE)))
    rows = F.equal(F.reshape(high, (batch, 1, pixels)), digits[:, None])
    columns = F.equal(F.reshape(low, (batch, pixels, 1)), digits)
    return F.reshape(F.matmul(rows, columns), (batch, LEVELS))


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
