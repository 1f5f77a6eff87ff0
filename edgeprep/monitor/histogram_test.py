"""Whether two histograms of classes are of one kind of pictures."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["differ"]

# Together they make false alarms of chance impossible, and small moves none: one in a million by
# chance, of as many as a quarter of all objects. A histogram of two hundred objects reaches both.
_CHANCE_Z = 4.75
_LEAST_DISTANCE = 0.25
# Of a class in both histograms together; rarer ones are taken for one, as Cochran (1954) advises.
_FEWEST_EXPECTED = 5.0


def differ(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float | None:
    """By which share of all objects `found` differs from `expected`; None where it need not.

    Args:
        found: `(classes,)`, how often each came.
        expected: `(classes,)`, how often each came elsewhere.

    Returns:
        Half of the sum of all differences between shares, 0 to 1, if it is above a quarter, and
        chance alone would make such a difference in less than one case of a million.

    Source: the χ² test of homogeneity of two histograms, with the cube-root approximation of
        Wilson and Hilferty (1931), whose millionth is between 2 and 10 of ten millions by scipy,
        the more the more classes there are (tests/monitor/test_histogram_test.py).
    """
    totals = int(found.sum()), int(expected.sum())
    if min(totals) == 0:
        return None
    share = min(totals) / sum(totals)
    rare = (found + expected) * share < _FEWEST_EXPECTED
    pooled = np.stack([_pool(counts, rare) for counts in (found, expected)]).astype(np.float64)
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    freedom = pooled.shape[1] - 1
    if freedom < 1:
        return None
    shares = pooled / pooled.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    together = pooled.sum(axis=0) / pooled.sum()
    want = together * pooled.sum(axis=1, keepdims=True)
    statistic = float(((pooled - want) ** 2 / want).sum())
    wide = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - wide)) / math.sqrt(wide)
    return distance if z > _CHANCE_Z and distance > _LEAST_DISTANCE else None


def _pool(counts: NDArray[np.int64], rare: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.append(counts[~rare], counts[rare].sum())
