"""Scores of samples that may be of several classes, or of none."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (  # type: ignore[import-untyped]
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_recall_fscore_support,
)

from edgeprep.errors import DataError
from edgeprep.metrics.class_score import ClassTable, PresenceScore, known
from edgeprep.metrics.classified import stack_scores
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.results import Multilabelled
from edgeprep.truths import Classes

__all__ = ["AVERAGE_PRECISION", "LABEL_F1_MACRO", "LABEL_F1_MICRO", "SUBSET_ACCURACY"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Presence:
    """All results and truths, `(samples, classes)`.

    Attributes:
        scores: of the results.
        present: what the results say is there.
        truth: what is there.
    """

    scores: NDArray[np.float64]
    present: NDArray[np.bool_]
    truth: NDArray[np.bool_]


def _take(predictions: Sequence[Multilabelled], truths: Sequence[Classes]) -> _Presence:
    results = list(predictions)
    return _Presence(
        scores=stack_scores("classes", results),
        present=np.stack([result.present for result in results]),
        truth=np.stack([truth.present for truth in truths]),
    )


def _average_precisions(taken: _Presence) -> NDArray[np.float64]:
    """Of each class, NaN for those that no sample is of."""
    pairs = zip(taken.truth.T, taken.scores.T, strict=True)
    return np.array(
        [
            average_precision_score(there, scores) if there.any() else np.nan
            for there, scores in pairs
        ]
    )


def _average_precision(taken: _Presence) -> float:
    """The mean of the average precisions of the classes that samples are of, in 0..1.

    Source: sklearn.metrics.average_precision_score of each class; its own mean takes classes
    without samples for 0, and warns.
    """
    if not taken.truth.any():
        rule = "needs at least one class that a sample is of"
        raise DataError(f"average-precision: {rule}, got none in {len(taken.truth)} samples")
    return float(np.nanmean(_average_precisions(taken)))


def _f1(average: str, taken: _Presence) -> float:
    """F1 over the classes that occur among truths or results, in 0..1.

    "macro" is the mean of the classes, "micro" counts all samples alike.

    Source: sklearn.metrics.f1_score, whose mean takes the other classes for 0.
    """
    occurring = np.flatnonzero((taken.truth | taken.present).any(axis=0))
    if not occurring.size:
        rule = "needs at least one class that a sample is of or was taken for"
        raise DataError(f"label-f1-{average}: {rule}, got none in {len(taken.truth)} samples")
    given = (taken.truth[:, occurring], taken.present[:, occurring])
    labels = _columns(occurring.size)
    return float(f1_score(*given, labels=labels, average=average, zero_division=0.0))


def _columns(count: int) -> list[int]:
    """The columns as scikit-learn names them; a single one it takes for labels of 0 or 1."""
    return list(range(count)) if count > 1 else [1]


def _same(taken: _Presence) -> float:
    """The share of samples of which every class is right, in 0..1.

    Source: sklearn.metrics.accuracy_score.
    """
    return float(accuracy_score(taken.truth, taken.present))


def _per_class(taken: _Presence, classes: int) -> ClassTable:
    scored = precision_recall_fscore_support(
        taken.truth,
        taken.present,
        labels=_columns(classes),
        average=None,
        zero_division=np.nan,
    )
    columns = (_average_precisions(taken), *scored)
    return ClassTable(
        rows=tuple(
            PresenceScore(
                average_precision=known(average_precision),
                precision=known(precision),
                recall=known(recall),
                f1=known(f1),
                samples=int(samples),
            )
            for average_precision, precision, recall, f1, samples in zip(*columns, strict=True)
        )
    )


_PRESENCE = Measure(take=_take, per_class=_per_class)

AVERAGE_PRECISION = Metric.of(_PRESENCE, _average_precision, name="average-precision")
LABEL_F1_MACRO = Metric.of(_PRESENCE, partial(_f1, "macro"), name="label-f1-macro")
LABEL_F1_MICRO = Metric.of(_PRESENCE, partial(_f1, "micro"), name="label-f1-micro")
SUBSET_ACCURACY = Metric.of(_PRESENCE, _same, name="subset-accuracy")
