"""The range that a calibrator chooses for values that were counted."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Quantization
from edgeprep.ranges.histogram import CENTRES, EDGES, ZERO, Histogram, distribution

__all__ = ["choose_range"]

# Ranges that cut off more than a tenth of the values are not tried.
_INSIDE = 0.9
# Parts of a step that the divergence tells apart. With more of them, there would not be enough
# values in each of a usual calibration for its count to mean anything.
_PARTS = 4
# Of steps, for a divergence: finer ones would hold no more than a value each.
_MOST_LEVELS = 2**10
_STRIDE = 8
# What a part counts for that holds nothing where something was expected.
_NOTHING = 1e-9


def choose_range(
    histogram: Histogram, policy: Quantization, *, levels: int = 256
) -> tuple[float, float]:
    """The range that `policy.calibrator` chooses for values like those counted.

    "min-max": from the least to the greatest. "percentile": as many values are cut off at each end
    as leave the middle `policy.percentile`. "entropy" and "mse" try what is left of min-max when
    all magnitudes above a limit are cut off, for many limits. "entropy" takes the least
    Kullback-Leibler divergence of the values, rounded to `levels` and cut off, from the values, but
    for zeros; "mse" the least mean squared error of rounding and cutting off.

    Args:
        histogram: of at least one value, all finite.
        policy: names the calibrator, and for "percentile" the share.
        levels: how many the range will be divided into.

    Returns:
        The ends. The least is never above 0, the greatest never below, because quantizers hold 0
        exactly.

    Source: percentile: Wu et al., "Integer Quantization for Deep Learning Inference: Principles and
        Empirical Evaluation", 2020, section 3.4, with a share at each end. Entropy: Migacz, "8-bit
        Inference with TensorRT", GTC 2017, with as many parts a step for every range, where
        TensorRT's are as wide for every range. MSE: Nagel et al., "A White Paper on Neural Network
        Quantization", 2021, section 3.1, over ranges cut off at one magnitude. All are held to
        computations on the values themselves in tests/ranges/test_choose_range.py.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    match policy.calibrator:
        case "percentile":
            outside = (1 - policy.percentile / 100) / 2
            first, last = _quantiles(histogram, (outside, 1 - outside))
            return min(first, 0.0), max(last, 0.0)
        case "entropy":
            limits = _limits(histogram, among="values")
            return min(
                _cut_off(low, high, limits), key=_Divergence(histogram, min(levels, _MOST_LEVELS))
            )
        case "mse":
            limits = _limits(histogram, among="numbers")
            ranges = list(_cut_off(low, high, limits))
            error = _SquaredError(histogram, levels, limits)
            # Coarsely, then finely around the best: this error has no narrow valleys.
            best = min(range(0, len(ranges), _STRIDE), key=lambda index: error(ranges[index]))
            return min(ranges[max(best - _STRIDE, 0) : best + _STRIDE], key=error)
        case _:
            return low, high


def _cut_off(low: float, high: float, limits: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """The whole range, then those that are left below ever smaller limits of magnitude."""
    yield low, high
    for limit in limits[::-1].tolist():
        if limit < max(-low, high):
            yield max(low, -limit), min(high, limit)


def _limits(histogram: Histogram, *, among: Literal["values", "numbers"]) -> NDArray[np.float64]:
    """The ends of bins, ascending, at which magnitudes may be cut off; one at least.

    Args:
        histogram: of finite values.
        among: "values": only ends of bins that hold values. In a gap, the wider of two ranges has
            fewer values a step and not more of them inside, and a divergence would take that for
            better. "numbers": all ends up to the greatest.
    """
    counts = histogram.counts
    magnitudes = counts[ZERO:] + counts[ZERO - 1 :: -1]
    # Zeros are exact in every range, and of no interest to how far it reaches.
    magnitudes[0] = 0
    inside = np.cumsum(magnitudes)
    wanted = inside >= _INSIDE * inside[-1]
    if among == "values":
        wanted &= magnitudes > 0
    else:
        wanted[np.flatnonzero(magnitudes).max(initial=0) + 1 :] = False
    limits = EDGES[ZERO + 1 :][wanted & (np.arange(1, ZERO + 1) <= 0x7F80)]
    return limits if len(limits) else np.zeros(1)


class _Divergence:
    """How much the values, rounded and cut off to a range, differ in distribution."""

    def __init__(self, histogram: Histogram, levels: int) -> None:
        # Zeros are exact in every range: that they lie close together is no detail to be lost.
        counts = histogram.counts
        counts[ZERO - 1 : ZERO + 1] = 0
        rest = Histogram.restored(histogram.low, histogram.high, counts)
        self._values = rest
        self._edges, self._shares = distribution(rest)
        self._levels = levels

    def __call__(self, ends: tuple[float, float]) -> float:
        if not len(self._edges):
            return 0.0
        reached = np.interp(
            np.linspace(*ends, self._levels * _PARTS + 1), self._edges, self._shares
        )
        # What lies at an end is inside.
        reached[0] *= ends[0] > self._values.low
        reached[-1] = max(reached[-1], ends[1] >= self._values.high)
        inside = np.diff(reached)
        occupied = (inside > 0).reshape(self._levels, _PARTS)
        # A level gives what it holds to those of its parts where there was something.
        held = inside.reshape(self._levels, _PARTS).sum(1, keepdims=True)
        rounded = (occupied * held / np.maximum(occupied.sum(1, keepdims=True), 1)).reshape(-1)
        inside[0] += reached[0]
        inside[-1] += 1 - reached[-1]
        where = inside > 0
        expected, given = inside[where], rounded[where] / max(rounded.sum(), _NOTHING)
        return float((expected * np.log(expected / np.maximum(given, _NOTHING))).sum())


class _SquaredError:
    """The mean squared error of rounding and cutting off values to a range.

    Values are spread evenly over the bin that they are in.
    """

    def __init__(self, histogram: Histogram, levels: int, limits: NDArray[np.float64]) -> None:
        counts = histogram.counts
        used = np.flatnonzero(counts)
        # By magnitude, so that what a limit cuts off is what comes last.
        used = used[np.argsort(np.abs(CENTRES[used]), kind="stable")]
        self._first, self._last = EDGES[used], EDGES[used + 1]
        self._magnitudes = np.abs(CENTRES[used])
        self._counts = counts[used].astype(np.float64)
        # Of the magnitudes from each on: how many, their sum, and that of their squares.
        moments = [self._counts * self._magnitudes**power for power in range(3)]
        self._beyond = [np.append(np.cumsum(moment[::-1])[::-1], 0) for moment in moments]
        # What every range rounds to zero costs the same in all of them.
        self._start = int(np.searchsorted(self._magnitudes, limits[0] / (2 * levels)))
        self._levels = levels

    def __call__(self, ends: tuple[float, float]) -> float:
        limit = max(-ends[0], ends[1])
        step = (ends[1] - ends[0]) / (self._levels - 1)
        if step == 0:
            return 0.0
        stop = int(np.searchsorted(self._magnitudes, limit, "right"))
        inside = slice(self._start, stop)
        first, last = self._first[inside] / step, self._last[inside] / step
        rounding = (_rounding(last) - _rounding(first)) / (last - first)
        many, total, squares = (moment[stop] for moment in self._beyond)
        cut_off = squares - 2 * limit * total + limit**2 * many
        return float((self._counts[inside] * rounding).sum() * step**2 + cut_off)


def _rounding(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The integral from 0 to `value` of the squared distance to the nearest whole number."""
    whole = np.rint(value)
    return whole / 12 + (value - whole) ** 3 / 3


def _quantiles(histogram: Histogram, shares: tuple[float, ...]) -> list[float]:
    edges, reached = distribution(histogram)
    values = np.clip(np.interp(shares, reached, edges), histogram.low, histogram.high)
    return [float(value) for value in values]
