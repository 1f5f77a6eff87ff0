"""Precision, recall and F1 over all classes, as one number each."""

from collections.abc import Callable, Sequence
from typing import Any

from sklearn.metrics import (  # type: ignore[import-untyped]
    f1_score,
    precision_score,
    recall_score,
)

from edgeprep.metrics.classified import Classified
from edgeprep.metrics.metric import Metric
from edgeprep.metrics.per_class import PICKED

__all__ = [
    "F1_MACRO",
    "F1_MICRO",
    "PRECISION_MACRO",
    "PRECISION_MICRO",
    "RECALL_MACRO",
    "RECALL_MICRO",
]


def _average(
    score: Callable[..., Any],
    average: str,
    predictions: Sequence[Classified],
    labels: Sequence[int],
) -> float:
    """`score` over the classes that occur among labels or predictions, in 0..1.

    "macro" is the mean of the classes, "micro" counts all samples alike. Where a class has no
    score, as the precision of one that is never predicted, it is 0.

    Source: sklearn.metrics, with its defaults for both.
    """
    indices = [prediction.index for prediction in predictions]
    return float(score(labels, indices, average=average, zero_division=0.0))


def _metric(name: str, score: Callable[..., Any], average: str) -> Metric:
    return Metric.of(
        PICKED, lambda picked: _average(score, average, *picked), name=f"{name}-{average}"
    )


PRECISION_MACRO = _metric("precision", precision_score, "macro")
PRECISION_MICRO = _metric("precision", precision_score, "micro")
RECALL_MACRO = _metric("recall", recall_score, "macro")
RECALL_MICRO = _metric("recall", recall_score, "micro")
F1_MACRO = _metric("f1", f1_score, "macro")
F1_MICRO = _metric("f1", f1_score, "micro")
