"""The area under the receiver operating characteristic."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from edgeprep.errors import DataError
from edgeprep.metrics.classified import Scored, stack_scores
from edgeprep.metrics.metric import Metric

__all__ = ["ROC_AUC"]


def roc_auc(predictions: Sequence[Scored], labels: Sequence[int]) -> float:
    """How well the scores of a class order the samples, in 0..1; 0.5 is chance.

    With two classes, by the scores of the second one. With more, the mean over the classes that
    occur among the labels, each against all others (one-vs-rest, macro).

    Source: sklearn.metrics.roc_auc_score for each class; its own one-vs-rest refuses scores that
    do not add up to 1, such as sigmoids, and labels in which a class does not occur.

    Raises:
        DataError: all labels are the same, so that there is nothing to put in order.
        NonFiniteOutput: a score is NaN or infinite.
    """
    scores = stack_scores(ROC_AUC.name, predictions)
    truth = np.asarray(labels)
    occurring = np.unique(truth)
    if len(occurring) < 2:
        raise DataError(
            f"{ROC_AUC.name}: needs samples of at least 2 classes, "
            f"got those of class {occurring[0]} alone"
        )
    classes = [1] if scores.shape[1] == 2 else occurring.tolist()
    return float(np.mean([roc_auc_score(truth == index, scores[:, index]) for index in classes]))


ROC_AUC = Metric(name="roc-auc", higher_is_better=True, score=roc_auc)
