"""The layers of a recipe's network, by what quantizing each one costs."""

import json
import math
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeprep.compress.observed import run_network
from edgeprep.compress.sensitivity import LayerCost, Sensitivity, confirm, measure
from edgeprep.conversion.calibration import check_calibration
from edgeprep.conversion.compression import Compression
from edgeprep.conversion.keep_float import match_modules, quantized_as
from edgeprep.conversion.plan import Plan, make_plan
from edgeprep.conversion.recipe_text import keys_set
from edgeprep.conversion.score import Scorer, run_all, score_and_warn
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.threads import fastest_threads
from edgeprep.data import Prepared, Progress, Samples, check_clips, prepare_samples, silent, warn
from edgeprep.errors import RecipeError
from edgeprep.importers.toml import to_toml
from edgeprep.metrics.chance import has_chance
from edgeprep.recipe import QuantizeTable, Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.frames import Frames
from edgeprep.train import TrainingData, load_network, open_training
from edgeprep.train.unroll import unrolled

__all__ = ["SensitivityReport", "analyze"]

# At 20 dB noise is a tenth of the signal, where few answers of a classifier change.
_CLEAN_DB = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityReport:
    """What was found, and what the recipe can do about it.

    Attributes:
        layers: most costly first.
        samples: how many were run for every layer.
        snr_db: signal to noise with all layers quantized but those that the recipe keeps.
        keep_float: what to write into the recipe's `[quantize]`, with what it has there already.
        kept_snr_db: signal to noise with these in float; None where nothing is proposed.
        quantize: the recipe's own.
        threshold_db: what was to be reached; None where a number of layers was asked for.
        metric: that `LayerCost.drop` is of; None where none was asked for.
        source: the metric's value in float, on `confirmed` samples.
        confirmed: how many samples the metric was measured on.
    """

    layers: tuple[LayerCost, ...]
    samples: int
    snr_db: float
    keep_float: tuple[str, ...]
    kept_snr_db: float | None
    threshold_db: float | None
    quantize: QuantizeTable = field(default_factory=QuantizeTable)
    metric: str | None = None
    source: float | None = None
    confirmed: int = 0

    @property
    def block(self) -> str:
        """The whole `[quantize]` for the recipe, in TOML; "" where it can stay as it is."""
        if self.kept_snr_db is None:
            return ""
        # A path is letters, digits, underscores and dots, which JSON writes as TOML does.
        listed = "".join(f"    {json.dumps(path)},\n" for path in self.keep_float)
        rest = to_toml([keys_set(replace(self.quantize, keep_float=()))], "[quantize]")
        return f"{rest}\nkeep_float = [\n{listed}]"

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep sensitivity --format json` prints it; "inf" and "-inf" are strings."""
        return {
            "samples": self.samples,
            "snr_db": _written(self.snr_db),
            "keep_float": list(self.keep_float),
            "kept_snr_db": _written(self.kept_snr_db),
            "threshold_db": self.threshold_db,
            "metric": self.metric,
            "source": self.source,
            "confirmed": self.confirmed,
            "layers": [
                {
                    "path": layer.path,
                    "kinds": list(layer.kinds),
                    "parameters": layer.parameters,
                    "macs": layer.macs,
                    "snr_db": _written(layer.snr_db),
                    "own_snr_db": _written(layer.own_snr_db),
                    "inside": layer.inside,
                    "drop": layer.drop,
                }
                for layer in self.layers
            ],
        }


def analyze(
    recipe: Recipe,
    *,
    samples: int | None = None,
    worst: int = 0,
    subset: int = 256,
    keep: int | None = None,
    threshold_db: float = _CLEAN_DB,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> SensitivityReport:
    """Rank the layers of the network that `recipe` quantizes, and choose what to keep in float.

    The recipe's compression steps are done first, or taken from a conversion before this one.

    Args:
        recipe: names calibration data.
        samples: how many of them are run for every layer; None: 32, or fewer of a large network.
            Ranges are of all.
        worst: for how many layers the metric is measured, too.
        subset: on how many evaluation samples.
        keep: propose so many layers, the most costly ones; None: the fewest that reach
            `threshold_db`.
        threshold_db: signal to noise at the outputs, in decibels.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule, or names no data that are needed.
        CheckpointError: the weights do not fit, or are not safe to read.
        DataError: the data cannot be used.
        ConvertError: the network cannot be simulated, or a compression step failed.
    """
    if recipe.data.calibration is None:
        remedy = "ranges of values are measured with it"
        raise RecipeError(f"data.calibration: required key is missing; {remedy}")
    if worst and recipe.data.evaluation is None:
        remedy = "the metric is measured with it; leave --confirm out to do without"
        raise RecipeError(f"data.evaluation: required key is missing; {remedy}")
    registry = registry or default_registry()
    with scratch_directory() as scratch:
        plan = make_plan(recipe, scratch / "none.edgeprep", overwrite=False, registry=registry)
        with closing(plan.chain):
            analysis = _Analysis(plan=plan, registry=registry, progress=progress, scratch=scratch)
            source = analysis.load()
            scored = analysis.score(source, subset, anyway=bool(worst))
            found = analysis.measure(source, samples)
            report = analysis.propose(found, keep, threshold_db)
            return analysis.confirm(report, found, source, worst, scored) if worst else report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Analysis:
    plan: Plan
    registry: Registry
    progress: Progress
    scratch: Path

    def load(self) -> NetworkSource:
        """The network that is quantized, with its calibration samples."""
        with self.progress("load the network") as done:
            network = load_network(self.plan.recipe.model, self.plan.recipe.directory)
            count = sum(parameter.numel() for parameter in network.parameters())
            done(f"{count:,} parameters")
        with self.progress("read the data") as done:
            calibration = self._prepare(self.plan.calibration, "data.calibration")
            done(calibration.describe())
        for warning in check_calibration(calibration):
            warn(self.progress, warning)
        _, graph = self.plan.chain.cut(self.plan.placements[0])

        def wrap(network: torch.nn.Module) -> NetworkSource:
            source = NetworkSource(
                network,
                graph,
                calibration.inputs,
                scratch=self.scratch,
                states=self.plan.recipe.model.states,
                starts=calibration.starts,
            )
            return quantized_as(self.plan.recipe.quantize, source, network)

        compression = Compression(
            loaded=network,
            plan=self.plan,
            steps=Steps(),
            scratch=self.scratch,
            image=calibration.feed(0),
            wrap=wrap,
            describe=_describe,
            training=cache(self._training),
            progress=self.progress,
        )
        return wrap(compression.run())

    def score(
        self, source: NetworkSource, subset: int, *, anyway: bool
    ) -> tuple[Scorer, float] | None:
        """What `source` scores on a part of the evaluation data, where chance may, or `anyway`."""
        task, metric = self.plan.task, self.plan.metric
        if metric is None or not (anyway or has_chance(task)):
            return None
        with self.progress("read the evaluation data") as done:
            whole = self._prepare(self.plan.evaluation, "data.evaluation")
            done(whole.describe())
        held_out = _spread(whole, subset)
        scorer = Scorer(task=task, metric=metric, samples=held_out)
        return scorer, score_and_warn(scorer, source.answer, self.progress)

    def measure(self, source: NetworkSource, samples: int | None) -> Sensitivity:
        """The layers of `source`, by cost."""
        inputs, policy = source.whole_samples(), self.plan.recipe.quantize.policy
        whole, example = unrolled(source.users_network, source.states), source.sample_shape
        with self.progress("quantize each layer alone") as done:
            with fastest_threads(lambda: run_network(whole, torch.zeros(example))):
                found = measure(
                    source.users_network,
                    inputs,
                    samples=samples,
                    policy=policy,
                    states=source.states,
                )
            done(f"{len(found.layers)} layers on {found.samples} samples")
        return found

    def propose(
        self, found: Sensitivity, keep: int | None, threshold_db: float
    ) -> SensitivityReport:
        """What to keep in float beside what the recipe keeps already."""
        patterns = self.plan.recipe.quantize.keep_float
        always = match_modules(found.network, {"quantize.keep_float": patterns})
        with self.progress("choose layers to keep in float") as done:
            before = found.snr_db(always)
            order = found.candidates(always)
            chosen = found.fewest(threshold_db, always) if keep is None else order[:keep]
            after = found.snr_db((*always, *chosen)) if chosen else None
            done(f"{len(chosen or ())} of {len(order)}")
        return SensitivityReport(
            layers=found.layers,
            samples=found.samples,
            snr_db=before,
            keep_float=(*patterns, *chosen) if chosen else patterns,
            kept_snr_db=after,
            threshold_db=threshold_db if keep is None else None,
            quantize=self.plan.recipe.quantize,
        )

    def confirm(
        self,
        report: SensitivityReport,
        found: Sensitivity,
        source: NetworkSource,
        worst: int,
        scored: tuple[Scorer, float] | None,
    ) -> SensitivityReport:
        """`report` with what the metric loses for the `worst` layers."""
        if scored is None:
            raise RecipeError(f"task: must be one that can be scored, got {self.plan.task.name!r}")
        scorer, before = scored
        held_out = scorer.samples
        with self.progress(f"measure {scorer.name} for the worst layers") as done:
            with fastest_threads(lambda: source.answer(held_out.feed(0))):
                layers = confirm(
                    found,
                    lambda: scorer.drop(before, scorer.score(run_all(source.answer, held_out))),
                    worst,
                )
            done(f"{before:.4f} in float on {len(held_out)} samples")
        return replace(
            report, layers=layers, metric=scorer.name, source=before, confirmed=len(held_out)
        )

    def _prepare(self, samples: Samples | None, where: str) -> Prepared:
        if samples is None:  # `analyze` has seen that there are some
            raise RecipeError(f"{where}: required key is missing")
        host, _ = self.plan.chain.cut(self.plan.placements[0])
        frames = Frames.for_task(self.plan.task, self.plan.chain)
        recipe = self.plan.recipe
        prepared = prepare_samples(
            samples,
            host,
            where,
            fps=recipe.data.fps,
            frames=frames,
            tiling=self.plan.task.tiling,
        )
        remembers = bool(recipe.model.states)
        check_clips(prepared, recipe.input.frames, remembers=remembers, where=where)
        return prepared

    def _training(self) -> TrainingData:
        plan = self.plan
        return open_training(plan.recipe, chain=plan.chain, task=plan.task, registry=self.registry)


def _written(value: float | None) -> float | str | None:
    """`value`; JSON has no number without an end."""
    return value if value is None or math.isfinite(value) else str(value)


def _spread(samples: Prepared, count: int) -> Prepared:
    """So many of them at most, from the first to the last: many data are sorted by class."""
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int)
    return samples.some(np.unique(chosen).tolist())


def _describe(source: NetworkSource) -> str:
    return f"{sum(parameter.numel() for parameter in source.network.parameters()):,} parameters"
