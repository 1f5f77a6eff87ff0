"""A bundle scored again on the engines of this machine, and its source in torch beside it."""

from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import SourceRecord
from edgeprep.conversion.evaluation import SOURCE, Evaluation, Score
from edgeprep.conversion.plan import build_named
from edgeprep.conversion.score import Outputs, run_all
from edgeprep.conversion.scoring import Scoring, choose_metrics
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.threads import fastest_threads
from edgeprep.data import Prepared, Samples, build_reader, check_clips, prepare_samples
from edgeprep.errors import (
    BackendError,
    DataError,
    NonFiniteOutput,
    NoUsableBackend,
    RecipeError,
    StorageError,
)
from edgeprep.interfaces import Task
from edgeprep.recipe import EnsembleRecipe, Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.candidates import Outcome, Reachable, list_candidates
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.memory import answer
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.runtime.timing import Timing, summarize
from edgeprep.schema import show, to_table
from edgeprep.stages.chain import Chain
from edgeprep.train import load_network

__all__ = ["Evaluation", "check_task", "evaluate", "evaluate_source", "evaluation_samples"]

MetricNames = Sequence[str] | Literal["all"] | None


def evaluate(
    path: str | PathLike[str],
    recipe: Recipe,
    *,
    metrics: MetricNames = None,
    with_source: bool = False,
    prefer: str | None = None,
    limit: int | None = None,
    registry: Registry | None = None,
) -> Evaluation:
    """Score a bundle's variants, each with the most exact options of each backend and device.

    Args:
        path: a `.edgeprep` file.
        recipe: names the evaluation data and, in its budget, the metric that counts; its task is
            that of the bundle.
        metrics: the names of those to score by; "all": each that the task has; None: that of the
            budget, and the task's first one.
        with_source: whether the recipe's network is scored in torch, too: on the same samples, as
            it is before any compression.
        prefer: as in `edgeprep.open`.
        limit: at most so many samples.
        registry: where plugins are looked up; None: the installed ones.

    Raises:
        BundleError: the file is not a whole, unchanged bundle.
        RecipeError: the recipe's task is not that of the bundle, or it names no evaluation data, or
            no metric that fits; or, with the source, its model or preprocessing is wrong.
        CheckpointError: with the source, its weights do not fit, or are not safe to read.
        DataError: the data cannot be used, or a metric has no value on them.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here.
        NonFiniteOutput: the source answers NaN or infinity.
        StorageError: temporary files cannot be written.
    """
    registry = registry or default_registry()
    opened = OpenedBundle.read(path, registry)
    rules = opened.rules(prefer)
    task = opened.task
    check_task(recipe, registry, task)
    chosen = choose_metrics(recipe, task, metrics)
    samples = evaluation_samples(recipe, task, limit)
    scoring = Scoring(task=task, metrics=chosen, undefined={} if metrics == "all" else None)
    scores: list[Score] = []
    if with_source:
        scores.append(_score_source(recipe, registry, samples, scoring)[0])
    frames = Frames.for_task(task, opened.chain)
    with closing(opened.chain):
        prepared = {
            placement: prepare_samples(
                samples,
                host.chain,
                "data.evaluation",
                fps=recipe.data.fps,
                frames=frames,
                tiling=task.tiling,
            )
            for placement, host in opened.hosts.items()
        }
    remembers = any(variant.states for variant in opened.variants)
    for data in prepared.values():
        frames_each = opened.chain.input.batch
        check_clips(data, frames_each, remembers=remembers, where="data.evaluation")
    scored = next(iter(prepared.values()))
    count = len(scored)
    known = scores[0].values if scores else _recorded(opened.bundle.manifest.source, scored)
    rejected: list[Outcome] = []
    reachable, left_out = list_candidates(opened.bundle.manifest.variants, opened.registry, rules)
    for first in _most_exact(reachable):
        inputs = prepared[first.variant.placement]
        try:
            outputs, timing = _run_candidate(opened, first, inputs)
            score = scoring.score(first.candidate, outputs, inputs, timing, known)
        except (DataError, StorageError):
            raise
        except Exception as fault:  # noqa: BLE001 -- an engine's fault rejects it, and is shown
            ours = isinstance(fault, BackendError | NonFiniteOutput)
            reason = str(fault) if ours else repr(fault)
            rejected.append(Outcome(candidate=first.candidate, verdict="rejected", reason=reason))
            continue
        scores.append(score)
    if not any(score.candidate != SOURCE for score in scores):
        raise NoUsableBackend(opened.prober([*rejected, *left_out]).nothing_left())
    return _evaluation(scoring, count, opened.bundle.manifest.source, scores, rejected, samples)


def evaluate_source(
    recipe: Recipe,
    *,
    metrics: MetricNames = None,
    limit: int | None = None,
    registry: Registry | None = None,
) -> Evaluation:
    """Score the recipe's network in torch, as it is before any compression.

    Args:
        recipe: as for `evaluate`, like the others.
        metrics: see there.
        limit: see there.
        registry: see there.

    Raises:
        RecipeError: the recipe breaks a rule, names no evaluation data, or no metric that fits.
        CheckpointError: the weights do not fit, or are not safe to read.
        DataError: the data cannot be used, or a metric has no value on them.
        NonFiniteOutput: the network answers NaN or infinity.
    """
    registry = registry or default_registry()
    task: Task = build_named(registry, "task", recipe.task, "task")
    chosen = choose_metrics(recipe, task, metrics)
    samples = evaluation_samples(recipe, task, limit)
    scoring = Scoring(task=task, metrics=chosen, undefined={} if metrics == "all" else None)
    score, count = _score_source(recipe, registry, samples, scoring)
    return _evaluation(scoring, count, None, [score], [], samples)


def _evaluation(
    scoring: Scoring,
    count: int,
    source: SourceRecord | None,
    scores: Sequence[Score],
    rejected: Sequence[Outcome],
    samples: Samples,
) -> Evaluation:
    return Evaluation(
        metrics=tuple(metric.name for metric in scoring.metrics),
        samples=count,
        source=source,
        scores=tuple(scores),
        labels=scoring.labels,
        undefined=scoring.undefined or {},
        rejected=tuple(rejected),
        skipped=samples.skipped,
    )


def evaluation_samples(recipe: Recipe | EnsembleRecipe, task: Task, limit: int | None) -> Samples:
    """The evaluation data of `recipe`, at most `limit` of them.

    Raises:
        RecipeError: it names none, or they are not there.
        DataError: they cannot serve.
    """
    if recipe.data.evaluation is None:
        raise RecipeError("data.evaluation: required key is missing; scores need labelled samples")
    table = dict(recipe.data.evaluation) | ({} if limit is None else {"limit": limit})
    return build_reader(table, "data.evaluation").open(
        directory=recipe.directory, where="data.evaluation", task=task
    )


def check_task(recipe: Recipe | EnsembleRecipe, registry: Registry, packed: Task) -> None:
    """Refuse a recipe whose labels are not what the outputs of the bundle mean.

    Raises:
        RecipeError: its task is another than `packed`, that of the bundle.
    """
    written: Task = build_named(registry, "task", recipe.task, "task")
    ours, theirs = ({"use": task.name, **to_table(task)} for task in (written, packed))
    key = next((key for key in theirs if ours.get(key) != theirs[key]), None)
    if key is None:
        return
    place, got, wanted = f"task.{key}", ours[key], theirs[key]
    rule = f"must be {show(wanted)}"
    if isinstance(got, list | tuple) and isinstance(wanted, list | tuple):
        pairs = enumerate(zip(got, wanted, strict=False))
        index = next((index for index, (one, other) in pairs if one != other), None)
        if index is None:
            rule, got = f"must have {len(wanted)} entries", len(got)
        else:
            place, rule, got = f"{place}[{index}]", f"must be {show(wanted[index])}", got[index]
    raise RecipeError(
        f"{place}: {rule} as in the bundle, got {show(got)}; "
        "give the recipe that the bundle was made of, or convert this one"
    )


def _recorded(source: SourceRecord, samples: Prepared) -> dict[str, float]:
    """What the bundle says that its source scored, if that was on the same samples."""
    # A score on other samples is not what variants can be compared with. Old bundles know their
    # number alone.
    same = source.samples == len(samples) and source.data in ("", samples.digest)
    if source.metric is None or source.value is None or not same:
        return {}
    return {source.metric: source.value}


def _score_source(
    recipe: Recipe, registry: Registry, samples: Samples, scoring: Scoring
) -> tuple[Score, int]:
    """What the recipe's network scores in torch, and on how many samples."""
    network = load_network(recipe.model, recipe.directory)
    with scratch_directory() as scratch, closing(Chain.of_recipe(recipe, registry)) as chain:
        host, graph = chain.cut(chain.placements(recipe.placement)[0])
        frames = Frames.for_task(scoring.task, chain)
        prepared = prepare_samples(
            samples,
            host,
            "data.evaluation",
            fps=recipe.data.fps,
            frames=frames,
            tiling=scoring.task.tiling,
        )
        none = np.empty((0, *graph.input.shape()[1:]), np.uint8)
        states = recipe.model.states
        source = NetworkSource(network, graph, none, scratch=scratch, states=states)
        scoring.task.check_outputs(source.answers)
        where, count = "data.evaluation", recipe.input.frames
        check_clips(prepared, count, remembers=bool(states), where=where)
        with fastest_threads(lambda: source.answer(prepared.feed(0))):
            outputs, timing = _run(source.answer, prepared)
    return scoring.score(SOURCE, outputs, prepared, timing, {}), len(prepared)


def _most_exact(reachable: list[Reachable]) -> list[Reachable]:
    """Of each variant, backend and device the first options, which are the most exact."""
    first: dict[tuple[str, str, str], Reachable] = {}
    for item in reachable:
        candidate = item.candidate
        first.setdefault((candidate.variant, candidate.backend, candidate.device), item)
    return list(first.values())


def _run_candidate(
    opened: OpenedBundle, item: Reachable, inputs: Prepared
) -> tuple[list[Outputs], Timing]:
    model = opened.bundle.model(item.variant)
    with closing(item.backend.load(model, item.device, item.candidate.options)) as runner:
        return _run(lambda sample: answer(runner.run, sample, item.variant.states), inputs)


def _run(
    run: Callable[[NDArray[np.uint8]], Outputs], inputs: Prepared
) -> tuple[list[Outputs], Timing]:
    times = []

    def timed(taken: NDArray[np.uint8]) -> Outputs:
        picture = np.ascontiguousarray(taken)
        start = perf_counter()
        outputs = run(picture)
        times.append((perf_counter() - start) * 1e3)
        return outputs

    outputs = run_all(timed, inputs)
    return outputs, summarize([times])
