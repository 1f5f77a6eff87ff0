"""Calibration error: whether a network is right as often as its scores say."""

from collections.abc import Sequence

import numpy as np

from edgeprep.errors import DataError
from edgeprep.metrics.classified import Scored, stack_scores
from edgeprep.metrics.metric import Metric

__all__ = ["BINS", "CALIBRATION_ERROR"]

# As in the paper that made the measure common, below.
BINS = 15


def calibration_error(predictions: Sequence[Scored], labels: Sequence[int]) -> float:
    """The expected calibration error (ECE) of the best class, in 0..1; 0 is best.

    Samples are put by the score of their best class into 15 bins of equal width, (0, 1/15],
    (1/15, 2/15] and so on; the error is the mean difference of score and accuracy in a bin,
    weighted by its samples.

    Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.
    scikit-learn has no such function.

    Raises:
        DataError: a score is outside 0..1.
        NonFiniteOutput: a score is NaN or infinite.
    """
    confidence = stack_scores(CALIBRATION_ERROR.name, predictions).max(axis=1)
    if confidence.min() < 0 or confidence.max() > 1:
        far = confidence.min() if confidence.min() < 0 else confidence.max()
        raise DataError(
            f"{CALIBRATION_ERROR.name}: needs scores in 0..1, got {far:.4g}; "
            "task.scores says how outputs become scores"
        )
    right = np.array([p.index == label for p, label in zip(predictions, labels, strict=True)])
    # A score of exactly 0 has no bin below it, and joins the first.
    bins = np.maximum(np.ceil(confidence * BINS).astype(int), 1)
    gaps = np.bincount(bins, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(right))


CALIBRATION_ERROR = Metric(
    name="calibration-error", higher_is_better=False, score=calibration_error
)
