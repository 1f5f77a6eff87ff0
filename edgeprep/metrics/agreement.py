"""Agreement of two models on the same samples: what stands in where there are no labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric
from edgeprep.runtime.golden import relative_error

__all__ = ["PIXEL_AGREEMENT", "RELATIVE_ERROR", "TOP1_AGREEMENT", "agreement_for"]

Outputs = tuple[NDArray[Any], ...]


def top1_agreement(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of samples whose first output has its largest value at the same place, in 0..1."""
    same = [
        int(ours[0].argmax()) == int(theirs[0].argmax())
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return sum(same) / len(same)


def pixel_agreement(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of pixels of the first output, `(1, classes, h, w)`, of one class, in 0..1."""
    shares = [
        np.mean(_classes(ours[0]) == _classes(theirs[0]))
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return float(np.mean(shares))


def _classes(output: NDArray[Any]) -> NDArray[Any]:
    # A single map is the logit of the second of two classes.
    return output > 0 if output.shape[1] == 1 else output.argmax(axis=1)


def worst_error(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The relative error of the worst sample, as the parity gate measures it."""
    return max(map(relative_error, outputs, references))


TOP1_AGREEMENT = Metric(name="top-1 agreement", higher_is_better=True, score=top1_agreement)
PIXEL_AGREEMENT = Metric(name="pixel agreement", higher_is_better=True, score=pixel_agreement)
RELATIVE_ERROR = Metric(name="relative error", higher_is_better=False, score=worst_error)

# By the metric that they stand in for.
_AGREEMENTS: Mapping[str, Metric] = {
    "accuracy": TOP1_AGREEMENT,
    "pixel-accuracy": PIXEL_AGREEMENT,
}


def agreement_for(task: Task) -> Metric:
    """How two models of one task are compared: by what they would be scored by, or by numbers.

    That is the top class of a picture, or of its pixels. The metric takes raw outputs,
    `(sample, output)`, and not decoded results.
    """
    fitting = (agreement for name, agreement in _AGREEMENTS.items() if name in task.metrics)
    return next(fitting, RELATIVE_ERROR)
