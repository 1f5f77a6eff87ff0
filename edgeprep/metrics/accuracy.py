"""Accuracy against labels."""

from collections.abc import Sequence

from sklearn.metrics import accuracy_score  # type: ignore[import-untyped]

from edgeprep.metrics.classified import Classified
from edgeprep.metrics.metric import Metric
from edgeprep.metrics.per_class import PICKED

__all__ = ["ACCURACY"]


def accuracy(predictions: Sequence[Classified], labels: Sequence[int]) -> float:
    """The share of predictions whose class is the label, in 0..1.

    Source: sklearn.metrics.accuracy_score.
    """
    return float(accuracy_score(labels, [prediction.index for prediction in predictions]))


ACCURACY = Metric.of(PICKED, lambda picked: accuracy(*picked), name="accuracy")
