"""Agreement of two models on the same samples: what stands in where there are no labels."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric
from edgeprep.runtime.golden import relative_error

__all__ = ["RELATIVE_ERROR", "TOP1_AGREEMENT", "agreement_for"]

Outputs = tuple[NDArray[Any], ...]


def top1_agreement(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of samples whose first output has its largest value at the same place, in 0..1."""
    same = [
        int(ours[0].argmax()) == int(theirs[0].argmax())
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return sum(same) / len(same)


def worst_error(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The relative error of the worst sample, as the parity gate measures it."""
    return max(map(relative_error, outputs, references))


TOP1_AGREEMENT = Metric(name="top-1 agreement", higher_is_better=True, score=top1_agreement)
RELATIVE_ERROR = Metric(name="relative error", higher_is_better=False, score=worst_error)


def agreement_for(task: Task) -> Metric:
    """How two models of one task are compared: by their top class, or by their numbers.

    The metric takes raw outputs, `(sample, output)`, and not decoded results.
    """
    return TOP1_AGREEMENT if "accuracy" in task.metrics else RELATIVE_ERROR
