"""How each class fares: precision, recall and F1 of each, and which are taken for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (  # type: ignore[import-untyped]
    confusion_matrix,
    precision_recall_fscore_support,
)

from edgeprep.metrics.class_score import ClassScore, ClassTable, known
from edgeprep.metrics.classified import Classified
from edgeprep.metrics.metric import Measure

__all__ = ["PICKED", "confusion", "score_classes"]

Picked = tuple[Sequence[Classified], Sequence[int]]


def score_classes(
    predictions: Sequence[Classified], labels: Sequence[int], classes: int
) -> tuple[ClassScore, ...]:
    """How each of `classes` classes fares.

    Source: sklearn.metrics.precision_recall_fscore_support.
    """
    columns = precision_recall_fscore_support(
        labels, _indices(predictions), labels=range(classes), zero_division=np.nan
    )
    return tuple(
        ClassScore(
            precision=known(precision), recall=known(recall), f1=known(f1), samples=int(samples)
        )
        for precision, recall, f1, samples in zip(*columns, strict=True)
    )


def confusion(
    predictions: Sequence[Classified], labels: Sequence[int], classes: int
) -> NDArray[np.int64]:
    """How many samples of each class, a row, were taken for each, a column: `(classes, classes)`.

    Source: sklearn.metrics.confusion_matrix.
    """
    matrix = confusion_matrix(labels, _indices(predictions), labels=range(classes))
    return np.asarray(matrix, np.int64)


def _take(predictions: Sequence[Classified], labels: Sequence[int]) -> Picked:
    return list(predictions), labels


def _per_class(picked: Picked, classes: int) -> ClassTable:
    return ClassTable(rows=score_classes(*picked, classes), confusion=confusion(*picked, classes))


# What metrics of the best class share.
PICKED = Measure(take=_take, per_class=_per_class)


def _indices(predictions: Sequence[Classified]) -> list[int]:
    return [prediction.index for prediction in predictions]
