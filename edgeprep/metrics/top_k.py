"""Top-k accuracy: whether the label is among the k best classes."""

from collections.abc import Sequence
from functools import partial

from edgeprep.metrics.classified import Scored
from edgeprep.metrics.metric import Metric

__all__ = ["top_k"]


def top_k(k: int) -> Metric:
    """The metric `top-k` for one k, at least 1."""
    return Metric(name=f"top-{k}", higher_is_better=True, score=partial(_share, k))


def _share(k: int, predictions: Sequence[Scored], labels: Sequence[int]) -> float:
    """The share of predictions with the label among the `k` best classes, in 0..1.

    Source: sklearn.metrics.top_k_accuracy_score, to which it is equal where no scores are
    (tests/metrics/test_scores_against_labels.py). Of equal scores that prefers the last class; here
    it is the first, as everywhere in this package, so that top-1 is accuracy for int8 networks too,
    whose outputs are often equal.
    """
    hits = [
        label in prediction.ranking[:k]
        for prediction, label in zip(predictions, labels, strict=True)
    ]
    return sum(hits) / len(hits)
