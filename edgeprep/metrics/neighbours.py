"""Whether the nearest of the other samples are of the same class."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.results import Embedded

__all__ = ["RECALL_AT_1", "RECALL_AT_5"]

# So many samples at once are compared with all: 40 MB for ten thousand.
_ROWS = 512


def _take(predictions: Sequence[Embedded], labels: Sequence[int]) -> NDArray[np.int64]:
    """At which place by nearness, from 0, the first sample of the same class is: `(samples,)`.

    The nearest is the one of the greatest cosine; of equal ones, the first. Samples that are alone
    in their class have -1.
    """
    vectors = np.stack([prediction.vector for prediction in predictions]).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A vector of no length points nowhere, and is at a right angle to all.
    vectors /= np.where(lengths > 0, lengths, 1.0)
    truth = np.asarray(labels)
    places = np.full(len(truth), -1, np.int64)
    for start in range(0, len(truth), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(truth)))
        cosines = vectors[rows] @ vectors.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        same = truth == truth[rows, None]
        same[np.arange(len(rows)), rows] = False
        ours = np.where(same, cosines, -np.inf)
        best, first = ours.max(axis=1, keepdims=True), ours.argmax(axis=1)[:, None]
        before = (cosines > best) | ((cosines == best) & (np.arange(len(truth)) < first))
        places[rows] = np.where(same.any(axis=1), before.sum(axis=1), -1)
    return places


def _recall(k: int, places: NDArray[np.int64]) -> float:
    """The share of samples that have one of their class among the `k` nearest, in 0..1.

    Samples that are alone in their class are left out: none could be found.

    Source: recall at k of Jégou et al., "Product quantization for nearest neighbor search", as
    metric learning took it over; scikit-learn has no such function.

    Raises:
        DataError: each sample is alone in its class.
    """
    possible = places[places >= 0]
    if not possible.size:
        rule = "needs at least 2 samples of one class"
        raise DataError(f"recall-at-{k}: {rule}, got none in {len(places)} samples")
    return float((possible < k).mean())


_NEAREST = Measure(take=_take)

RECALL_AT_1 = Metric.of(_NEAREST, partial(_recall, 1), name="recall-at-1")
RECALL_AT_5 = Metric.of(_NEAREST, partial(_recall, 5), name="recall-at-5")
