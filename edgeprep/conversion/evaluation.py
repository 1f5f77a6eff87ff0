"""What an evaluation found, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import SourceRecord
from edgeprep.data import Skipped
from edgeprep.metrics.class_score import ClassRow
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.timing import Timing

__all__ = ["SOURCE", "Evaluation", "Score"]

# The recipe's own network in torch, where it is scored beside the candidates of a bundle.
SOURCE = Candidate(variant="source", backend="torch", device="cpu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """What one candidate scored.

    Attributes:
        candidate: a variant on a backend and device; `SOURCE` for the recipe's network in torch.
        values: by the name of the metric; a metric that is undefined on the data is left out.
        drops: how much worse each value is than the source's, by the name of the metric; where
            the source was not scored likewise, it is left out.
        timing: of one picture in the engine.
        classes: how each class fares, in the order of the labels, by the columns of the kind of
            task; () for tasks without classes.
        confusion: `(classes, classes)`, a row for each true class; None where nothing is taken for
            one class alone.
    """

    candidate: Candidate
    values: Mapping[str, float]
    drops: Mapping[str, float]
    timing: Timing
    classes: tuple[ClassRow, ...] = ()
    confusion: NDArray[np.int64] | None = None

    def to_json(self, metric: str, labels: tuple[str, ...]) -> dict[str, Any]:
        """As `edgeprep evaluate --format json` prints it; `metric` is the one that counts."""
        return {
            **_to_json(self.candidate),
            "value": self.values.get(metric),
            "drop": self.drops.get(metric),
            "values": dict(self.values),
            "drops": dict(self.drops),
            "median_ms": self.timing.median_ms,
            "classes": [
                {"label": label, **one.values()}
                for label, one in zip(labels, self.classes, strict=False)
            ],
            "confusion": None if self.confusion is None else self.confusion.tolist(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of all candidates on the same samples.

    Attributes:
        metrics: the names of all metrics; the first one is the recipe's.
        samples: how many pictures were scored.
        source: what the bundle records of its source; None where there is no bundle.
        scores: one a candidate; the source in torch comes first, where it was scored.
        labels: the names of the classes; () for tasks without classes.
        undefined: why a metric has no value on these data, by its name.
        rejected: candidates whose engine failed, with the reason.
        skipped: the pictures that could not be read and were left out, with the reason.
    """

    metrics: tuple[str, ...]
    samples: int
    source: SourceRecord | None
    scores: tuple[Score, ...]
    labels: tuple[str, ...] = ()
    undefined: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[Outcome, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def metric(self) -> str:
        """The metric that counts: that of the recipe's budget, or else the task's first."""
        return self.metrics[0]

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep evaluate --format json` prints it."""
        source = self.source and {"metric": self.source.metric, "value": self.source.value}
        return {
            "metric": self.metric,
            "metrics": list(self.metrics),
            "samples": self.samples,
            "skipped": [{"name": one.name, "reason": one.reason} for one in self.skipped],
            "source": source,
            "labels": list(self.labels),
            "candidates": [score.to_json(self.metric, self.labels) for score in self.scores],
            "undefined": dict(self.undefined),
            "rejected": [
                {**_to_json(outcome.candidate), "reason": outcome.reason}
                for outcome in self.rejected
            ],
        }


def _to_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "variant": candidate.variant,
        "backend": candidate.backend,
        "device": candidate.device,
        "options": dict(candidate.options),
    }
