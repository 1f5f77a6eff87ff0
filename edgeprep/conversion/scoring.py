"""The outputs of one candidate, by every metric that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgeprep.conversion.evaluation import Score
from edgeprep.conversion.score import Outputs, drop_of
from edgeprep.data import Prepared
from edgeprep.data.decoded import Decoded
from edgeprep.errors import DataError, NonFiniteOutput, RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics import Measure, Metric, metric_for, metrics_of, table_of
from edgeprep.metrics.class_score import ClassTable
from edgeprep.recipe import EnsembleRecipe, Recipe
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.outputs import all_finite
from edgeprep.runtime.timing import Timing

__all__ = ["Scoring", "choose_metrics"]


def choose_metrics(
    recipe: Recipe | EnsembleRecipe, task: Task, names: Sequence[str] | Literal["all"] | None
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
        named = table_of(self.task) is not None
        return tuple(getattr(self.task, "labels", None) or ()) if named else ()

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
        results = Decoded(task=self.task, outputs=outputs, samples=samples)
        return self.score_results(candidate, results, samples.labels, timing, source)

    def score_results(
        self,
        candidate: Candidate,
        results: Sequence[Any],
        truths: Sequence[Any],
        timing: Timing,
        source: Mapping[str, float],
    ) -> Score:
        """What `candidate`, which gave `results`, scored.

        Args:
            candidate: as in `score`, like `timing` and `source`.
            results: one a sample, as the task gives them.
            truths: what each is held against.
            timing: see there.
            source: see there.

        Raises:
            DataError: a metric has no value on these data.
        """
        values, drops = {}, {}
        taken: dict[Measure, Any] = {}
        for metric in self.metrics:
            try:
                value = values[metric.name] = metric.score_once(results, truths, taken)
            except DataError as fault:
                if self.undefined is None:
                    raise
                self.undefined[metric.name] = str(fault)
                continue
            if metric.name in source:
                drops[metric.name] = drop_of(metric, source[metric.name], value)
        table = self._table(results, truths, taken)
        return Score(
            candidate=candidate,
            values=values,
            drops=drops,
            timing=timing,
            classes=table.rows,
            confusion=table.confusion,
        )

    def _table(
        self, results: Sequence[Any], truths: Sequence[Any], taken: dict[Measure, Any]
    ) -> ClassTable:
        """How each class fares; of what was `taken`, or else of a walk through the results."""
        measure = table_of(self.task)
        if measure is None or measure.per_class is None or not self.labels:
            return ClassTable(rows=())
        if measure not in taken:
            taken[measure] = measure.take(results, truths)
        return measure.per_class(taken[measure], len(self.labels))
