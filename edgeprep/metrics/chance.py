"""What answers score that were given without a look."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric
from edgeprep.tasks.classify import Classify
from edgeprep.truths import Truth

__all__ = ["compare_with_chance"]


def compare_with_chance(
    task: Task, metric: Metric, labels: Sequence[Truth | None], score: float
) -> str:
    """That a `score` is no better than that of one answer for all, in words; "" where it is better.

    The answer is the commonest class, which no fixed answer beats.

    Args:
        task: what is scored; nothing is said of tasks without classes.
        metric: by which.
        labels: one a sample.
        score: of a network, on the same samples.
    """
    known = [label for label in labels if isinstance(label, int)]
    # Of one class alone, that answer is right.
    if not isinstance(task, Classify) or not metric.higher_is_better or len(set(known)) < 2:
        return ""
    ((commonest, _),) = Counter(known).most_common(1)
    output = np.eye(len(task.labels), dtype=np.float32)[commonest : commonest + 1]
    chance = metric.score([task.decode((output,))] * len(known), known)
    if score > chance:
        return ""
    return (
        f"{metric.name} {score:.4f}, no better than always answering {task.labels[commonest]!r}, "
        f"which scores {chance:.4f}"
    )
