"""How often values occur, counted as they come."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "CENTRES", "EDGES", "ZERO", "Histogram", "distribution"]

BINS = 2**16
# The first bin of numbers that are not negative: zero, and what is next to it.
ZERO = BINS // 2


class Histogram:
    """How often values occur, in bins that are as fine near zero as far from it.

    A bin holds the numbers whose first 16 bits in float32 are alike: 128 bins an octave, so that
    one huge outlier does not take away the resolution where the values are. The same values in
    another order, or in other portions, give the same histogram.

    Attributes:
        low: the least value of all, exactly; `inf` before the first. NaN if one was.
        high: the greatest value of all, exactly; `-inf` before the first. NaN if one was.
    """

    __slots__ = ("_patterns", "high", "low")

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf
        # By the first 16 bits, in the order of which negative numbers come last and backwards.
        self._patterns = np.zeros(BINS, np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count `values`, of any shape."""
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        if not len(flat):
            return
        # NOTE: `min` of Python would lose a NaN.
        self.low = float(np.minimum(self.low, flat.min()))
        self.high = float(np.maximum(self.high, flat.max()))
        # The high half of each number, without a copy.
        halves = flat.view(np.uint16)[_HIGH::2]
        self._patterns += np.bincount(halves, minlength=BINS)

    @property
    def counts(self) -> NDArray[np.int64]:
        """`(65536,)`, int64, how many values fell into each bin, in ascending order."""
        counts: NDArray[np.int64] = self._patterns[_ORDER]
        return counts

    @classmethod
    def restored(cls, low: float, high: float, counts: NDArray[np.int64]) -> Self:
        """The histogram that has these attributes."""
        histogram = cls()
        histogram.low, histogram.high = low, high
        histogram._patterns[_ORDER] = counts
        return histogram

    @property
    def is_finite(self) -> bool:
        """Whether there are values, and none is NaN or infinite."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self._patterns.sum())

    def share_outside(self, low: float, high: float) -> float:
        """The share of values below `low` or above `high`, 0 to 1.

        Values in the bin of an end count by how much of the bin is outside.
        """
        edges, shares = distribution(self)
        below = float(np.interp(low, edges, shares)) if low > self.low else 0.0
        above = 1 - float(np.interp(high, edges, shares)) if high < self.high else 0.0
        return below + above


def distribution(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of bins, and the share of values below each: straight lines between them.

    The first and the last edge are the least and the greatest value, where the next ones may be
    too: many values are often at an end, such as the 6 of a ReLU6.
    """
    counts = histogram.counts
    used = np.flatnonzero(counts)
    near = np.unique(np.concatenate([used, used + 1]))
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.clip(EDGES[near], histogram.low, histogram.high), below[near] / below[-1]


def _edges() -> NDArray[np.float64]:
    """The 65537 edges of the bins, ascending; beyond those of finite numbers, infinite."""
    infinity = 0x7F80
    bits = np.arange(infinity, dtype=np.uint32) << np.uint32(16)
    finite = bits.view(np.float32).astype(np.float64)
    positive = np.concatenate([finite, [2.0**128], np.full(ZERO - infinity, np.inf)])
    return np.concatenate([-positive[:0:-1], positive])


_ORDER = np.concatenate([np.arange(BINS - 1, ZERO - 1, -1), np.arange(ZERO)])
_HIGH = int(np.little_endian)
EDGES = _edges()
# Beyond the finite numbers there are none: such values are never counted where ranges are chosen.
with np.errstate(invalid="ignore"):
    CENTRES = (EDGES[:-1] + EDGES[1:]) / 2
