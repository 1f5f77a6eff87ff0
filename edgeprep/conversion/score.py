"""Scores: the source and each variant on the same samples, with the same metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import Prepared, Progress, warn
from edgeprep.data.decoded import Decoded
from edgeprep.data.outputs_on_disk import outputs_on_disk
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric, agreement_for
from edgeprep.metrics.chance import compare_with_chance

__all__ = [
    "Agreement",
    "Outputs",
    "Scorer",
    "drop_of",
    "run_all",
    "score_and_warn",
    "warning_of_chance",
]

Outputs = tuple[NDArray[Any], ...]


def run_all(run: Callable[[NDArray[np.uint8]], Outputs], samples: Prepared) -> list[Outputs]:
    """The outputs for every sample, on the disk; `run` takes what `samples` feed."""
    return outputs_on_disk(samples.answer(index, run) for index in range(len(samples)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """Scores outputs against labels."""

    task: Task
    metric: Metric
    samples: Prepared

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name

    def some(self, indices: Sequence[int]) -> "Scorer":
        """The same for the samples at `indices` alone."""
        return replace(self, samples=self.samples.some(indices))

    def score(self, outputs: Sequence[Outputs]) -> float:
        """The metric of decoded `outputs`, one tuple a sample."""
        results = Decoded(task=self.task, outputs=outputs, samples=self.samples)
        return self.metric.score(results, self.samples.labels)

    def beside_chance(self, score: float) -> str:
        """That `score` is no better than one answer for all, in words; "" where it is better."""
        return compare_with_chance(self.task, self.metric, self.samples.labels, score)

    def drop(self, source: float, value: float) -> float:
        """How much worse `value` is than `source`; negative if it is better."""
        return drop_of(self.metric, source, value)


def drop_of(metric: Metric, source: float, value: float) -> float:
    """How much worse `value` is than `source` by `metric`; negative if it is better."""
    drop = source - value if metric.higher_is_better else value - source
    # 0.98 - 0.97 is above 0.01 in binary, and would break a budget that is kept.
    return round(drop, 9)


def warning_of_chance(scorer: Scorer, score: float) -> str:
    """That a network with this `score` knows nothing, for its user; "" where it does."""
    words = scorer.beside_chance(score)
    remedy = "are its weights loaded?"
    if getattr(scorer.task, "labels", None):
        remedy = "are its weights loaded, and task.labels in the order of its outputs?"
    return f"model: the network scores {words}; {remedy}" if words else ""


def score_and_warn(
    scorer: Scorer, run: Callable[[NDArray[np.uint8]], Outputs], progress: Progress
) -> float:
    """What `run` scores on all samples of `scorer`; that it knows nothing is warned of."""
    with progress("score the network") as done:
        score = scorer.score(run_all(run, scorer.samples))
        done(f"{scorer.name} {score:.4f} on {len(scorer.samples)} samples")
    if text := warning_of_chance(scorer, score):
        warn(progress, text)
    return score


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Scorer):
    """Stands in where there are no labels: how far outputs agree with the source's own."""

    expected: tuple[Outputs, ...]

    @classmethod
    def with_source(cls, task: Task, samples: Prepared, expected: Sequence[Outputs]) -> "Agreement":
        """Agreement with `expected`, the source's outputs for `samples`."""
        return cls(task=task, metric=agreement_for(task), samples=samples, expected=tuple(expected))

    @property
    def name(self) -> str:
        """Says that this is no score against labels."""
        return f"{self.metric.name} with the source"

    def some(self, indices: Sequence[int]) -> "Agreement":
        """See `Scorer.some`."""
        expected = tuple(self.expected[index] for index in indices)
        return replace(self, samples=self.samples.some(indices), expected=expected)

    def beside_chance(self, score: float) -> str:
        """Nothing: agreement is no score against labels."""
        return ""

    def score(self, outputs: Sequence[Outputs]) -> float:
        """The agreement of `outputs` with the source's."""
        return self.metric.score(outputs, self.expected)
