"""What a metric is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeprep.metrics.class_score import ClassTable

__all__ = ["Measure", "Metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What metrics are worked out of that share it, taken in one walk through the predictions.

    Attributes:
        take: called with predictions and what they are held against; keeps little of each.
        per_class: called with what was taken and the number of classes; None: it has no classes.
    """

    take: Callable[[Sequence[Any], Sequence[Any]], Any]
    per_class: Callable[[Any, int], ClassTable] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One way to score predictions.

    Attributes:
        name: what recipes and reports call it.
        higher_is_better: which way is better.
        score: called with predictions and what they are held against, sample by sample.
        shared: what it is worked out of, where others are worked out of the same, and the score
            of what was taken; None: it stands alone.
    """

    name: str
    higher_is_better: bool
    score: Callable[[Sequence[Any], Sequence[Any]], float]
    shared: tuple[Measure, Callable[[Any], float]] | None = None

    @classmethod
    def of(
        cls,
        measure: Measure,
        value: Callable[[Any], float],
        *,
        name: str,
        higher_is_better: bool = True,
    ) -> "Metric":
        """The metric that is the `value` of what `measure` takes."""

        def score(predictions: Sequence[Any], truths: Sequence[Any]) -> float:
            return value(measure.take(predictions, truths))

        shared = (measure, value)
        return cls(name=name, higher_is_better=higher_is_better, score=score, shared=shared)

    def score_once(
        self, predictions: Sequence[Any], truths: Sequence[Any], taken: dict[Measure, Any]
    ) -> float:
        """The same as `score`; what it shares is looked for in `taken`, and left there."""
        if self.shared is None:
            return self.score(predictions, truths)
        measure, value = self.shared
        if measure not in taken:
            taken[measure] = measure.take(predictions, truths)
        return value(taken[measure])
