"""The outputs of one candidate, by every metric that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgeprep.conversion.evaluation import Score
from edgeprep.conversion.score import Outputs, Scorer
from edgeprep.data import Prepared
from edgeprep.errors import DataError, NonFiniteOutput, RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric, metric_for, metrics_of
from edgeprep.recipe import Recipe
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.outputs import all_finite
from edgeprep.runtime.timing import Timing

__all__ = ["Scoring", "choose_metrics"]


def choose_metrics(
    recipe: Recipe, task: Task, names: Sequence[str] | Literal["all"] | None
) -> tuple[Metric, ...]:
    """The metrics to score by, the one that counts first.

    Args:
        recipe: names the metric of its budget.
        task: says by which it can be scored.
        names: those that are asked for; None: that of the budget and the task's own first one;
            "all": the others of the task after these.

    Raises:
        RecipeError: the task cannot be scored, or not so.
    """
    if not task.metrics:
        raise RecipeError(f"task: must be one that can be scored, got {task.name!r}")
    chosen = [metric_for(task, task.metrics[0])]
    if recipe.budget is not None:
        chosen.insert(0, metric_for(task, recipe.budget.metric))
    if names == "all":
        chosen += metrics_of(task)
    elif names is not None:
        if "all" in names and len(names) > 1:
            raise RecipeError(f"metrics: 'all' must stand alone, got {','.join(names)!r}")
        chosen = [metric_for(task, name, "metrics") for name in names]
    return tuple({metric.name: metric for metric in chosen}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scores outputs by several metrics.

    Attributes:
        task: decodes outputs.
        metrics: at least one.
        undefined: filled with the reason where a metric has no value on the data; None: that is
            an error.
    """

    task: Task
    metrics: Sequence[Metric]
    undefined: dict[str, str] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes; () where results name none."""
        named = "accuracy" in self.task.metrics
        return tuple(getattr(self.task, "labels", ())) if named else ()

    def score(
        self,
        candidate: Candidate,
        outputs: Sequence[Outputs],
        samples: Prepared,
        timing: Timing,
        source: Mapping[str, float],
    ) -> Score:
        """What `candidate`, which answered `outputs`, scored.

        Args:
            candidate: whose outputs they are.
            outputs: one tuple a sample.
            samples: with their labels.
            timing: of one picture.
            source: what the source scored on the same samples, by the name of the metric.

        Raises:
            NonFiniteOutput: an output is NaN or infinite.
            DataError: a metric has no value on these data.
        """
        broken = [index for index, output in enumerate(outputs) if not all_finite(output)]
        if broken:
            raise NonFiniteOutput(
                f"{candidate}: outputs must be finite, got NaN or infinity for {len(broken)} of "
                f"{len(outputs)} samples, the first is sample {broken[0]}"
            )
        results = [self.task.decode(output)[0] for output in outputs]
        values, drops = {}, {}
        for metric in self.metrics:
            try:
                value = values[metric.name] = metric.score(results, samples.labels)
            except DataError as fault:
                if self.undefined is None:
                    raise
                self.undefined[metric.name] = str(fault)
                continue
            if metric.name in source:
                scorer = Scorer(task=self.task, metric=metric, samples=samples)
                drops[metric.name] = scorer.drop(source[metric.name], value)
        score = Score(candidate=candidate, values=values, drops=drops, timing=timing)
        if not self.labels:
            return score
        # Here, and not above: it imports scikit-learn.
        from edgeprep.metrics.per_class import confusion, score_classes

        count = len(self.labels)
        labels: list[int] = [label for label in samples.labels if label is not None]
        return replace(
            score,
            classes=score_classes(results, labels, count),
            confusion=confusion(results, labels, count),
        )
