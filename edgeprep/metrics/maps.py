"""Errors of maps, such as distances, over all pixels of all samples that are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeprep.errors import DataError
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.results import Mapped
from edgeprep.metrics.same_shape import same_shape
from edgeprep.truths import Map

__all__ = ["DELTA_1", "MEAN_ABSOLUTE_ERROR", "RATIO", "ROOT_MEAN_SQUARE_ERROR"]

# Source: Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network",
# arXiv:1406.2283, section 4.3, where it is the first of three thresholds.
RATIO = 1.25


@dataclass(slots=True, kw_only=True)
class _Sums:
    """Sums over all known pixels.

    Attributes:
        pixels: how many they are.
        absolute: of the absolute errors.
        squared: of the squared errors.
        near: how many differ from their truth by a factor below 1.25.
        least: the least truth.
    """

    pixels: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    near: int = 0
    least: float = np.inf


def _take(predictions: Sequence[Mapped], truths: Sequence[Map]) -> _Sums:
    sums = _Sums()
    pairs = ((p.held_to(t.values), t.values) for p, t in zip(predictions, truths, strict=True))
    for values, truth in same_shape("maps", pairs):
        known = ~np.isnan(truth) & ~np.isnan(values)
        ours, theirs = (each[known].astype(np.float64) for each in (values, truth))
        errors = np.abs(ours - theirs)
        sums.pixels += errors.size
        sums.absolute += float(errors.sum())
        sums.squared += float((errors**2).sum())
        # Without a division, which values of 0 or below would not bear.
        near = (ours < RATIO * theirs) & (theirs < RATIO * ours)
        sums.near += int(near.sum())
        sums.least = min(sums.least, float(theirs.min(initial=np.inf)))
    return sums


def _absolute(sums: _Sums) -> float:
    """The mean of the absolute errors, in the unit of the map."""
    return sums.absolute / sums.pixels


def _root(sums: _Sums) -> float:
    """The root of the mean of the squared errors, in the unit of the map."""
    return float(np.sqrt(sums.squared / sums.pixels))


def _near(sums: _Sums) -> float:
    """The share of pixels whose value is less than 1.25 times the truth, and the other way round.

    Raises:
        DataError: a truth is not above 0, and no ratio of it says anything.
    """
    if sums.least <= 0:
        raise DataError(f"delta-1: needs truths above 0, got {sums.least:.4g}")
    return sums.near / sums.pixels


def _metric(name: str, value: Callable[[_Sums], float], *, higher_is_better: bool) -> Metric:
    def known(sums: _Sums) -> float:
        if not sums.pixels:
            raise DataError(
                f"{name}: needs at least one known pixel among the truths, got NaN alone"
            )
        return value(sums)

    return Metric.of(_MAPS, known, name=name, higher_is_better=higher_is_better)


_MAPS = Measure(take=_take)

MEAN_ABSOLUTE_ERROR = _metric("mean-absolute-error", _absolute, higher_is_better=False)
ROOT_MEAN_SQUARE_ERROR = _metric("root-mean-square-error", _root, higher_is_better=False)
DELTA_1 = _metric("delta-1", _near, higher_is_better=True)
