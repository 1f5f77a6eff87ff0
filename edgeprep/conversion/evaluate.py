"""A bundle scored again, on the engines of this machine."""

from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from time import perf_counter
from typing import Any

import numpy as np

from edgeprep.bundle import SourceRecord
from edgeprep.conversion.samples import Prepared, prepare_samples
from edgeprep.conversion.score import Outputs, Scorer
from edgeprep.data import Samples, build_reader
from edgeprep.errors import BackendError, NoUsableBackend, RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric, metric_for
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.candidates import Candidate, Outcome, Reachable, list_candidates
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.runtime.timing import Timing, summarize

__all__ = ["Evaluation", "Score", "evaluate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one candidate scored.

    `drop` is against the source as the bundle records it; None where that was scored by another
    metric, on another number of samples, or not at all.
    """

    candidate: Candidate
    value: float
    drop: float | None
    timing: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of all candidates on the same samples.

    `rejected` are those whose engine failed, with the reason.
    """

    metric: str
    samples: int
    source: SourceRecord
    scores: tuple[Score, ...]
    rejected: tuple[Outcome, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep evaluate --format json` prints it."""
        return {
            "metric": self.metric,
            "samples": self.samples,
            "source": {"metric": self.source.metric, "value": self.source.value},
            "candidates": [
                {
                    "variant": score.candidate.variant,
                    "backend": score.candidate.backend,
                    "device": score.candidate.device,
                    "options": dict(score.candidate.options),
                    "value": score.value,
                    "drop": score.drop,
                    "median_ms": score.timing.median_ms,
                }
                for score in self.scores
            ],
            "rejected": [
                {
                    "variant": outcome.candidate.variant,
                    "backend": outcome.candidate.backend,
                    "device": outcome.candidate.device,
                    "options": dict(outcome.candidate.options),
                    "reason": outcome.reason,
                }
                for outcome in self.rejected
            ],
        }


def evaluate(
    path: str | PathLike[str],
    recipe: Recipe,
    *,
    prefer: str | None = None,
    limit: int | None = None,
    registry: Registry | None = None,
) -> Evaluation:
    """Score a bundle's variants, each with the most exact options of each backend and device.

    Args:
        path: a `.edgeprep` file.
        recipe: names the evaluation data and, in its budget, the metric.
        prefer: as in `edgeprep.open`.
        limit: at most so many samples.
        registry: where plugins are looked up; None: the installed ones.

    Raises:
        BundleError: the file is not a whole, unchanged bundle.
        RecipeError: the recipe names no evaluation data, or no metric that fits.
        DataError: the data cannot be used.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here.
    """
    opened = OpenedBundle.read(path, registry or default_registry())
    rules = opened.rules(prefer)
    samples = _samples(recipe, opened.task, limit)
    metric = _metric(recipe, opened.task)
    with closing(opened.chain):
        prepared = {
            placement: prepare_samples(samples, host.chain, "data.evaluation", fps=recipe.data.fps)
            for placement, host in opened.hosts.items()
        }
    scores: list[Score] = []
    rejected: list[Outcome] = []
    reachable, left_out = list_candidates(opened.bundle.manifest.variants, opened.registry, rules)
    for first in _most_exact(reachable):
        inputs = prepared[first.variant.placement]
        try:
            outputs, timing = _run(opened, first, inputs)
        except Exception as fault:  # noqa: BLE001 -- an engine's fault rejects it, and is shown
            reason = str(fault) if isinstance(fault, BackendError) else repr(fault)
            rejected.append(Outcome(candidate=first.candidate, verdict="rejected", reason=reason))
            continue
        scorer = Scorer(task=opened.task, metric=metric, samples=inputs)
        value = scorer.score(outputs)
        drop = _drop(opened.bundle.manifest.source, scorer, value)
        scores.append(Score(candidate=first.candidate, value=value, drop=drop, timing=timing))
    if not scores:
        raise NoUsableBackend(opened.prober([*rejected, *left_out]).nothing_left())
    return Evaluation(
        metric=metric.name,
        samples=len(next(iter(prepared.values()))),
        source=opened.bundle.manifest.source,
        scores=tuple(scores),
        rejected=tuple(rejected),
    )


def _samples(recipe: Recipe, task: Task, limit: int | None) -> Samples:
    """The evaluation data of `recipe`, at most `limit` of them."""
    if recipe.data.evaluation is None:
        raise RecipeError("data.evaluation: required key is missing; scores need labelled samples")
    table = dict(recipe.data.evaluation) | ({} if limit is None else {"limit": limit})
    return build_reader(table, "data.evaluation").open(
        directory=recipe.directory, where="data.evaluation", labels=getattr(task, "labels", None)
    )


def _metric(recipe: Recipe, task: Task) -> Metric:
    """The metric that `recipe` names, or else the first one of `task`."""
    if recipe.budget is not None:
        return metric_for(task, recipe.budget.metric)
    if not task.metrics:
        raise RecipeError(f"task: must be one that can be scored, got {task.name!r}")
    return metric_for(task, task.metrics[0])


def _drop(source: SourceRecord, scorer: Scorer, value: float) -> float | None:
    """How much worse `value` is than the source's; None where that was scored otherwise."""
    # A score on other samples is not what the source's can be compared with.
    alike = (source.metric, source.samples) == (scorer.name, len(scorer.samples))
    return scorer.drop(source.value, value) if source.value is not None and alike else None


def _most_exact(reachable: list[Reachable]) -> list[Reachable]:
    """Of each variant, backend and device the first options, which are the most exact."""
    first: dict[tuple[str, str, str], Reachable] = {}
    for item in reachable:
        candidate = item.candidate
        first.setdefault((candidate.variant, candidate.backend, candidate.device), item)
    return list(first.values())


def _run(opened: OpenedBundle, item: Reachable, inputs: Prepared) -> tuple[list[Outputs], Timing]:
    model = opened.bundle.model(item.variant)
    runner = item.backend.load(model, item.device, item.candidate.options)
    outputs, times = [], []
    try:
        for index in range(len(inputs)):
            picture = np.ascontiguousarray(inputs.picture(index))
            start = perf_counter()
            outputs.append(runner.run((picture,)))
            times.append((perf_counter() - start) * 1e3)
    finally:
        runner.close()
    return outputs, summarize([times])
