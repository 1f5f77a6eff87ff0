"""One conversion under way: its data, its network, its passes, its variants."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from edgeprep.compress.sensitivity import measure
from edgeprep.conversion.calibration import check_calibration
from edgeprep.conversion.compression import Compression
from edgeprep.conversion.digests import digest, digest_data, digest_network, digest_program
from edgeprep.conversion.ground import Ground, sample
from edgeprep.conversion.keep_float import match_modules
from edgeprep.conversion.limits import check_limits, measure_cost
from edgeprep.conversion.parity import check_oracle
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.ranking import Ranking
from edgeprep.conversion.score import Agreement, Scorer, run_all
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.threads import fastest_threads
from edgeprep.conversion.variants import MadeVariant, Oracle
from edgeprep.conversion.within_budget import VariantMaker
from edgeprep.data import Prepared, Progress, Samples, prepare_samples
from edgeprep.errors import BudgetError, ParityError
from edgeprep.interfaces import CALIBRATED, Placement
from edgeprep.registry import Registry, create
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.train import TrainingData, load_network, open_training

__all__ = ["Conversion"]

# Enough to see a border or a rare branch, few enough to cost nothing beside the export.
_PARITY_SAMPLES = 16
_GOLDEN_SAMPLES = 8


@dataclass(slots=True, kw_only=True)
class Conversion:
    """One conversion under way."""

    plan: Plan
    registry: Registry
    progress: Progress
    scratch: Path
    steps: Steps
    grounds: dict[Placement, Ground] = field(default_factory=dict)
    sources: dict[Placement, NetworkSource] = field(default_factory=dict)
    oracles: dict[Placement, Oracle] = field(default_factory=dict)

    def make(self) -> list[MadeVariant]:
        """All variants, each past the parity gate."""
        maker = self.prepare()
        self._check_compressed()
        return [maker.make(planned) for planned in self.plan.variants]

    def prepare(self) -> VariantMaker:
        """What makes the variants, when the network is loaded, scored and compressed."""
        loaded = self._load()
        for placement in self.plan.placements:
            self.grounds[placement] = self._ground(placement, loaded)
        compression = self._compression(loaded)
        network = compression.run()
        for placement in self.plan.placements:
            self.sources[placement] = self._source(placement, network)
            self.oracles[placement] = self._oracle(placement)

        @cache
        def fine_tuned() -> torch.nn.Module:
            step = create(self.registry.get("pass", "quantization-aware"))
            return compression.apply(step, network, where="budget.repair")

        maker = VariantMaker(
            plan=self.plan,
            network=network,
            sources=self.sources,
            oracles=self.oracles,
            rank=cache(partial(self._ranking, network)),
            fine_tune=cache(lambda placement: self._source(placement, fine_tuned())),
            keep=partial(self._trials, network),
            progress=self.progress,
        )
        maker.check()
        return maker

    def _check_compressed(self) -> None:
        """Refuse what the passes made where it is over budget before anything is quantized.

        Raises:
            BudgetError: its score says so; no choice of layers or ranges would make that good.
        """
        budget = self.plan.recipe.budget
        if budget is None or not self.plan.passes:
            return
        placement = self.plan.placements[0]
        ground, source = self.grounds[placement], self.sources[placement]
        score = ground.scorer.score(run_all(source.run, ground.held_out))
        drop = ground.scorer.drop(ground.score, score)
        if drop > budget.max_drop:
            raise BudgetError(
                f"budget.max_drop: {budget.metric} may drop by at most {budget.max_drop}, got "
                f"{drop:.4f} (to {score:.4f}) after the last of compress, before any export; "
                "prune less, train longer, or allow a larger drop"
            )

    def check_limits(self, made: Sequence[MadeVariant]) -> None:
        """Hold what the variants cost here against the recipe's limits."""
        budget = self.plan.recipe.budget
        if budget is None or not budget.has_limits:
            return
        costs = {}
        for planned, variant in zip(self.plan.variants, made, strict=True):
            with self.progress(f"measure what {planned.name} costs") as done:
                image = self.oracles[planned.placement].inputs[0]
                costs[planned.name] = measure_cost(budget, planned, variant, image)
                done(costs[planned.name].describe())
        check_limits(budget, costs, {one.name: one.exporter.name for one in self.plan.variants})

    def skipped(self) -> dict[str, int]:
        """How many pictures of each kind of data could not be read."""
        ground = next(iter(self.grounds.values()))
        data = {"evaluation": ground.held_out if self.plan.evaluation else None}
        known = {"calibration": ground.calibration, **data}
        return {name: len(samples.skipped) for name, samples in known.items() if samples}

    def _load(self) -> torch.nn.Module:
        with self.progress("load the network") as done:
            network = load_network(self.plan.recipe.model, self.plan.recipe.directory)
            count = sum(parameter.numel() for parameter in network.parameters())
            done(f"{count:,} parameters")
        return network

    def _ground(self, placement: Placement, network: torch.nn.Module) -> Ground:
        plan = self.plan
        host, graph = plan.chain.cut(placement)
        with self.progress(f"read the data, placement {placement!r}") as done:
            calibration = _prepare(plan, plan.calibration, host, "data.calibration")
            evaluation = _prepare(plan, plan.evaluation, host, "data.evaluation")
            known = {"calibration": calibration, "evaluation": evaluation}
            done("; ".join(f"{name}: {data.describe()}" for name, data in known.items() if data))
        if calibration and any(one.precision in CALIBRATED for one in plan.variants):
            seen = evaluation.inputs if evaluation else None
            if warning := check_calibration(calibration.inputs, seen):
                with self.progress("compare the data") as done:
                    done(warning)
        held_out = evaluation or calibration
        if held_out is None:  # the plan has seen that there is one
            raise ParityError("data: must have samples to prove parity on, got none")
        source = NetworkSource(network, graph, held_out.inputs, scratch=self.scratch)
        plan.task.check_outputs(source.outputs)
        with self.progress("score the source") as done:
            with fastest_threads(lambda: source.run(held_out.picture(0))):
                outputs = run_all(source.run, held_out)
            scorer: Scorer = Agreement.with_source(plan.task, held_out, outputs)
            if evaluation is not None and plan.metric is not None:
                scorer = Scorer(task=plan.task, metric=plan.metric, samples=evaluation)
            score = scorer.score(outputs)
            sampled = sample(scorer, outputs)
            done(f"{scorer.name} {score:.4f} on {len(held_out)} samples")
        return Ground(
            calibration=calibration, held_out=held_out, scorer=scorer, score=score, sampled=sampled
        )

    def _compression(self, loaded: torch.nn.Module) -> Compression:
        placement = self.plan.placements[0]
        ground = self.grounds[placement]

        def describe(source: NetworkSource) -> str:
            score = ground.scorer.score(run_all(source.run, ground.held_out))
            count = sum(parameter.numel() for parameter in source.network.parameters())
            return f"{ground.scorer.name} {score:.4f}, {count:,} parameters"

        return Compression(
            loaded=loaded,
            plan=self.plan,
            steps=self.steps,
            scratch=self.scratch,
            image=ground.held_out.picture(0),
            wrap=partial(self._for_passes, placement),
            describe=describe,
            training=cache(self._training),
            progress=self.progress,
        )

    def _training(self) -> TrainingData:
        plan = self.plan
        return open_training(plan.recipe, chain=plan.chain, task=plan.task, registry=self.registry)

    def _for_passes(self, placement: Placement, network: torch.nn.Module) -> NetworkSource:
        """`network` with what the recipe says of quantizing it in every format."""
        table = self.plan.recipe.quantize
        kept = match_modules(network, {"quantize.keep_float": table.keep_float})
        source = self._source(placement, network)
        return source.quantized_by(table.policy).keeping(kept)

    def _source(self, placement: Placement, network: torch.nn.Module) -> NetworkSource:
        _, graph = self.plan.chain.cut(placement)
        calibration = self.grounds[placement].calibration
        empty = np.empty((0, *graph.input.shape()[1:]), np.uint8)
        inputs = empty if calibration is None else calibration.inputs
        return NetworkSource(network, graph, inputs, scratch=self.scratch)

    def _ranking(self, network: torch.nn.Module) -> Ranking:
        """The order in which the layers of `network` go back into float."""
        source = self.sources[self.plan.placements[0]]
        samples, rows = source.calibration_preprocessed, source.network_input.shape[0]
        policy = self.plan.recipe.quantize.policy
        key = self._key(network, step="ranking", quantization=repr(policy))
        with (
            self.steps.open(key, self.scratch) as storage,
            self.progress("rank the layers by what quantizing each one costs") as done,
        ):
            kept = storage / "ranking.json"
            ranking = Ranking.read(kept)
            if ranking is None:
                with fastest_threads(lambda: network(torch.from_numpy(samples[:rows]))):
                    ranking = Ranking.of(measure(network, samples, rows=rows, policy=policy))
                ranking.write(kept)
            done(ranking.describe())
        return ranking

    def _trials(
        self, network: torch.nn.Module, planned: PlannedVariant
    ) -> AbstractContextManager[Path]:
        """Where the trials of a variant are kept."""
        table = self.plan.recipe
        key = self._key(
            network,
            step="trials",
            variant=planned.name,
            exporter=repr(planned.exporter),
            engine=dict(planned.backend.versions()),
            quantization=repr((planned.quantization, planned.keep_float, table.quantize)),
            budget=repr(table.budget),
            train=repr(table.train),
        )
        return self.steps.open(key, self.scratch)

    def _key(self, network: torch.nn.Module, **more: object) -> str:
        """The digest of what is computed of `network`, and of `more` that it depends on."""
        tables, files = self.plan.chain.packed()
        return digest(
            program=digest_program(),
            network=digest_network(network),
            data=digest_data(self.plan.recipe),
            fps=self.plan.recipe.data.fps,
            chain=tables,
            files={name: sha256(content).hexdigest() for name, content in files.items()},
            input=repr(self.plan.recipe.input),
            placement=self.plan.recipe.placement,
            task=self.plan.recipe.task,
            metric=self.plan.metric.name if self.plan.metric else None,
            **more,
        )

    def _oracle(self, placement: Placement) -> Oracle:
        ground = self.grounds[placement]
        last = len(ground.held_out) - 1
        chosen = np.unique(np.linspace(0, last, _PARITY_SAMPLES).astype(int)).tolist()
        inputs = [ground.held_out.picture(index) for index in chosen]
        expected = [self.sources[placement].run(image) for image in inputs]
        check_oracle(expected, self.sources[placement].outputs)
        return Oracle(
            inputs=inputs,
            expected=expected,
            golden=min(_GOLDEN_SAMPLES, len(chosen)),
            scorer=ground.scorer,
            source_score=ground.score,
            sampled=ground.sampled,
        )


def _prepare(plan: Plan, samples: Samples | None, host: Chain, where: str) -> Prepared | None:
    if samples is None:
        return None
    frames = Frames.for_task(plan.task, plan.chain)
    return prepare_samples(samples, host, where, fps=plan.recipe.data.fps, frames=frames)
