"""Agreement of two models on the same samples: what stands in where there are no labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric

__all__ = ["RELATIVE_ERROR", "TOP1_AGREEMENT", "agreement_for"]

Outputs = tuple[NDArray[Any], ...]


def top1_agreement(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of samples whose first output has its largest value at the same place, in 0..1."""
    same = [
        int(ours[0].argmax()) == int(theirs[0].argmax())
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return sum(same) / len(same)


def relative_error(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The norm of the difference over the norm of the reference, of the worst output.

    Norms are Euclidean and taken over all samples of one output; 0 is equality, infinity is a
    difference from a reference that is zero throughout.
    """
    return max(
        _relative(np.stack(ours).astype(np.float64), np.stack(theirs).astype(np.float64))
        for ours, theirs in zip(
            zip(*outputs, strict=True), zip(*references, strict=True), strict=True
        )
    )


def _relative(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    difference, size = float(np.linalg.norm(ours - theirs)), float(np.linalg.norm(theirs))
    if size == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / size


TOP1_AGREEMENT = Metric(name="top-1 agreement", higher_is_better=True, score=top1_agreement)
RELATIVE_ERROR = Metric(name="relative error", higher_is_better=False, score=relative_error)


def agreement_for(task: Task) -> Metric:
    """How two models of one task are compared: by their top class, or by their numbers.

    The metric takes raw outputs, `(sample, output)`, and not decoded results.
    """
    return TOP1_AGREEMENT if "accuracy" in task.metrics else RELATIVE_ERROR
