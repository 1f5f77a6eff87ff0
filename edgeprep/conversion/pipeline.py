"""The conversion: recipe in, one bundle out, every gate in between."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from edgeprep.conversion.keep_float import match_modules
from edgeprep.conversion.network import load_network
from edgeprep.conversion.pack import pack
from edgeprep.conversion.parity import check_oracle
from edgeprep.conversion.plan import Plan, PlannedVariant, make_plan
from edgeprep.conversion.progress import Progress, silent
from edgeprep.conversion.result import Result
from edgeprep.conversion.samples import Prepared, prepare_samples
from edgeprep.conversion.score import Agreement, Scorer, run_all
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.threads import fastest_threads
from edgeprep.conversion.variants import MadeVariant, Oracle, make_variant
from edgeprep.data import Samples
from edgeprep.errors import BudgetError, EdgePrepError, ParityError, StorageError
from edgeprep.interfaces import Placement
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.stages.chain import Chain

__all__ = ["convert"]

# Enough to see a border or a rare branch, few enough to cost nothing beside the export.
_PARITY_SAMPLES = 16
_GOLDEN_SAMPLES = 8


def convert(
    recipe: Recipe | str | PathLike[str],
    output: str | PathLike[str],
    *,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> Result:
    """Make the bundle that `recipe` describes.

    Every variant is exported, loaded in its engine, held to the source network on held-out
    samples, and scored on the evaluation data. The bundle appears when all gates are passed.

    Args:
        recipe: a recipe, or the path of its TOML file.
        output: the bundle to write.
        overwrite: whether a file that is there already may be replaced.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule; nothing has been done.
        CheckpointError: the weights do not fit, or are not safe to read.
        DataError: calibration or evaluation data cannot be used.
        BackendUnavailable: a library that a target needs is not installed.
        ExportError: a format cannot be written.
        ParityError: a variant does not compute what the source computes.
        BudgetError: a variant loses more than the recipe's budget.
        StorageError: the output cannot be written; `OutputExists` where it is there already.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    plan = make_plan(recipe, output, overwrite=overwrite, registry=registry or default_registry())
    try:
        with TemporaryDirectory(prefix="edgeprep-") as scratch:
            conversion = _Conversion(plan=plan, progress=progress, scratch=Path(scratch))
            made = conversion.make()
            conversion.check_budget(made)
            with progress("pack") as done:
                result = pack(
                    plan, conversion.sources, conversion.oracles, made, overwrite=overwrite
                )
                done(f"{plan.output}, {plan.output.stat().st_size:,} bytes")
            return result
    except EdgePrepError:
        raise
    except OSError as error:
        raise StorageError(f"{plan.output}: must be written, got {error}") from error


@dataclass(slots=True, kw_only=True)
class _Conversion:
    """One conversion under way."""

    plan: Plan
    progress: Progress
    scratch: Path
    sources: dict[Placement, NetworkSource] = field(default_factory=dict)
    oracles: dict[Placement, Oracle] = field(default_factory=dict)

    def make(self) -> list[MadeVariant]:
        """All variants, each past the parity gate."""
        network = self._load()
        for placement in self.plan.placements:
            network = self._start(placement, network)
        return [self._variant(planned, network) for planned in self.plan.variants]

    def check_budget(self, made: Sequence[MadeVariant]) -> None:
        """Raise BudgetError if any variant lost more than allowed."""
        budget = self.plan.recipe.budget
        if budget is None:
            return
        over = [
            f"{variant.record.name} {metric.drop:.4f}"
            for variant in made
            if (metric := variant.record.metric) and metric.drop > budget.max_drop
        ]
        if over:
            value = next(iter(self.oracles.values())).source_score
            raise BudgetError(
                f"budget.max_drop: {budget.metric} may drop by at most {budget.max_drop} from "
                f"{value:.4f}, got {', '.join(over)}; keep sensitive layers in float with "
                "target.keep_float, give more calibration samples, or allow a larger drop"
            )

    def _load(self) -> torch.nn.Module:
        with self.progress("load the network") as done:
            network = load_network(self.plan.recipe.model, self.plan.recipe.directory)
            count = sum(parameter.numel() for parameter in network.parameters())
            done(f"{count:,} parameters")
        return network

    def _start(self, placement: Placement, network: torch.nn.Module) -> torch.nn.Module:
        """Prepare samples, source and oracle of one placement; gives the network to export."""
        plan = self.plan
        host, _ = plan.chain.cut(placement)
        with self.progress(f"read the data, placement {placement!r}") as done:
            calibration = _prepare(plan.calibration, host, "data.calibration")
            evaluation = _prepare(plan.evaluation, host, "data.evaluation")
            known = {"calibration": calibration, "evaluation": evaluation}
            done("; ".join(f"{name}: {data.describe()}" for name, data in known.items() if data))
        source = self._source(placement, network, calibration)
        plan.task.check_outputs(source.outputs)
        held_out = evaluation or calibration
        if held_out is None:  # the plan has seen that there is one
            raise ParityError("data: must have samples to prove parity on, got none")
        with self.progress("score the source") as done:
            with fastest_threads(lambda: source.run(held_out.picture(0))):
                outputs = run_all(source.run, held_out)
            scorer: Scorer = Agreement.with_source(plan.task, held_out, outputs)
            if evaluation is not None and plan.metric is not None:
                scorer = Scorer(task=plan.task, metric=plan.metric, samples=evaluation)
            value = scorer.score(outputs)
            done(f"{scorer.name} {value:.4f} on {len(held_out)} samples")
        chosen = np.unique(np.linspace(0, len(held_out) - 1, _PARITY_SAMPLES).astype(int)).tolist()
        expected = [outputs[index] for index in chosen]
        check_oracle(expected)
        for compress in plan.passes if placement == plan.placements[0] else ():
            with self.progress(compress.name) as done:
                network = compress.apply(network, source)
                source = self._source(placement, network, calibration)
                outputs = run_all(source.run, held_out)
                expected = [outputs[index] for index in chosen]
                done(f"{scorer.name} {scorer.score(outputs):.4f}")
        self.sources[placement] = source
        self.oracles[placement] = Oracle(
            inputs=[held_out.picture(index) for index in chosen],
            expected=expected,
            golden=min(_GOLDEN_SAMPLES, len(chosen)),
            scorer=scorer,
            source_score=value,
        )
        return network

    def _source(
        self, placement: Placement, network: torch.nn.Module, calibration: Prepared | None
    ) -> NetworkSource:
        _, graph = self.plan.chain.cut(placement)
        empty = np.empty((0, *graph.input.shape()[1:]), np.uint8)
        inputs = empty if calibration is None else calibration.inputs
        return NetworkSource(network, graph, inputs, scratch=self.scratch)

    def _variant(self, planned: PlannedVariant, network: torch.nn.Module) -> MadeVariant:
        source = self.sources[planned.placement]
        if planned.keep_float:
            where = f"{planned.where}.keep_float"
            source = source.keeping(match_modules(network, planned.keep_float, where))
        with self.progress(planned.name) as done:
            made = make_variant(planned, source, self.oracles[planned.placement])
            parity, metric = made.record.parity, made.record.metric
            score = f", {metric.name} {metric.value:.4f} ({-metric.drop:+z.4f})" if metric else ""
            size = made.record.size_bytes
            done(f"{size:,} bytes, relative error {parity.relative:.1e}{score}")
        return made


def _prepare(samples: Samples | None, host: Chain, where: str) -> Prepared | None:
    return None if samples is None else prepare_samples(samples, host, where)
