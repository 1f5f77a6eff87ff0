"""Agreement of two models on the same samples: what stands in where there are no labels."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric
from edgeprep.metrics.results import Segmented
from edgeprep.runtime.golden import relative_error

__all__ = ["TOP1_AGREEMENT", "agreement_for"]

Outputs = tuple[NDArray[Any], ...]


def top1_agreement(outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of samples whose first output has its largest value at the same place, in 0..1."""
    same = [
        int(ours[0].argmax()) == int(theirs[0].argmax())
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return sum(same) / len(same)


def pixel_agreement(task: Task, outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The share of pixels of one class, in 0..1, in the pictures that the network sees."""
    shares = [
        np.mean(_classes(task, ours) == _classes(task, theirs))
        for ours, theirs in zip(outputs, references, strict=True)
    ]
    return float(np.mean(shares))


def _classes(task: Task, outputs: Outputs) -> NDArray[Any]:
    result = task.decode(outputs, Frame.whole(*outputs[0].shape[-2:]))
    return cast("Segmented", result).classes


def worst_error(task: Task, outputs: Sequence[Outputs], references: Sequence[Outputs]) -> float:
    """The relative error of the worst sample, as the parity gate measures it."""
    pairs = zip(outputs, references, strict=True)
    return max(relative_error(ours, theirs, task) for ours, theirs in pairs)


TOP1_AGREEMENT = Metric(name="top-1 agreement", higher_is_better=True, score=top1_agreement)


def agreement_for(task: Task) -> Metric:
    """How two models of one task are compared: by what they would be scored by, or by numbers.

    That is the top class of a picture, or of its pixels. The metric takes raw outputs,
    `(sample, output)`, and not decoded results.
    """
    # What they stand in for is a metric of ours, which says what results have.
    if "accuracy" in task.metrics:
        return TOP1_AGREEMENT
    if "pixel-accuracy" in task.metrics:
        score = partial(pixel_agreement, task)
        return Metric(name="pixel agreement", higher_is_better=True, score=score)
    score = partial(worst_error, task)
    return Metric(name="relative error", higher_is_better=False, score=score)
