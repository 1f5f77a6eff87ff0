"""Scores of masks: how many pixels of each class were taken for each."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError
from edgeprep.metrics.class_score import ClassTable, PixelScore, known
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.results import Segmented
from edgeprep.metrics.same_shape import same_shape
from edgeprep.truths import IGNORED, Mask

__all__ = ["DICE", "MEAN_IOU", "PIXEL_ACCURACY"]

Counts = NDArray[np.int64]


def _take(predictions: Sequence[Segmented], truths: Sequence[Mask]) -> Counts:
    """`(256, 256)`: how many pixels of each class, a row, were taken for each, a column.

    The pixels of all samples count alike. Those with a truth of 255 are left out, and those at
    which the network does not look, as its preprocessing crops pictures.

    Source: sklearn.metrics.confusion_matrix, which is too slow for a hundred thousand pixels
    (tests/metrics/test_pixels.py).
    """
    counts = np.zeros(256 * 256, np.int64)
    # Decoded one after the other: the masks of many samples do not fit into memory.
    pairs = ((p.classes, t.classes) for p, t in zip(predictions, truths, strict=True))
    for taken, there in same_shape("masks", pairs):
        known = (there != IGNORED) & (taken != IGNORED)
        cells = there[known].astype(np.int64) * 256 + taken[known]
        counts += np.bincount(cells, minlength=counts.size)
    return counts.reshape(256, 256)


def _iou(counts: Counts) -> NDArray[np.float64]:
    """Of each class, NaN where no pixel is of it or was taken for it."""
    both = counts.diagonal()
    return _share(both, counts.sum(axis=0) + counts.sum(axis=1) - both)


def _dice(counts: Counts) -> NDArray[np.float64]:
    """Of each class, NaN as in `_iou`."""
    return _share(2 * counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1))


def _accuracy(counts: Counts) -> NDArray[np.float64]:
    """`(1,)`: of all pixels."""
    return _share(counts.diagonal().sum(keepdims=True), counts.sum(keepdims=True)[0])


def _share(part: Counts, whole: Counts) -> NDArray[np.float64]:
    shares = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _mean(name: str, each: Callable[[Counts], NDArray[np.float64]], counts: Counts) -> float:
    """The mean over the classes that occur among truths or predictions."""
    if not counts.any():
        rule = f"needs at least one pixel with a class among the truths, got {IGNORED} alone"
        raise DataError(f"{name}: {rule}")
    return float(np.nanmean(each(counts)))


def _per_class(counts: Counts, classes: int) -> ClassTable:
    columns = (_iou(counts), _dice(counts), counts.sum(axis=1))
    rows = [column[:classes].tolist() for column in columns]
    return ClassTable(
        rows=tuple(
            PixelScore(iou=known(iou), dice=known(dice), pixels=pixels)
            for iou, dice, pixels in zip(*rows, strict=True)
        ),
        confusion=counts[:classes, :classes],
    )


_PIXELS = Measure(take=_take, per_class=_per_class)

MEAN_IOU = Metric.of(_PIXELS, partial(_mean, "mean-iou", _iou), name="mean-iou")
DICE = Metric.of(_PIXELS, partial(_mean, "dice", _dice), name="dice")
PIXEL_ACCURACY = Metric.of(
    _PIXELS, partial(_mean, "pixel-accuracy", _accuracy), name="pixel-accuracy"
)
