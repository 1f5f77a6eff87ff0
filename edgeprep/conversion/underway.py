"""One conversion under way: its data, its network, its passes, its variants."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from edgeprep.bundle import Reference
from edgeprep.compress.sensitivity import measure
from edgeprep.conversion.budget import check_compressed, check_usable
from edgeprep.conversion.calibration import check_calibration
from edgeprep.conversion.compression import Compression
from edgeprep.conversion.decodable import check_decodable
from edgeprep.conversion.ground import Ground, least_decided, sample
from edgeprep.conversion.keep_float import quantized_as
from edgeprep.conversion.limits import check_limits, measure_cost
from edgeprep.conversion.once import once
from edgeprep.conversion.parity import check_finite
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.ranking import Ranking
from edgeprep.conversion.reached import Reached, fell_after, measured_from
from edgeprep.conversion.references import classes_in, refer
from edgeprep.conversion.repair import Tried
from edgeprep.conversion.score import Agreement, Outputs, Scorer, run_all, warning_of_chance
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.step_keys import ranking_key, trials_key
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.threads import fastest_threads
from edgeprep.conversion.trials import MENDABLE
from edgeprep.conversion.variants import MadeVariant, Oracle
from edgeprep.conversion.within_budget import VariantMaker
from edgeprep.data import (
    Prepared,
    Progress,
    Samples,
    check_clips,
    prepare_samples,
    warn,
    warning_of_skipped,
)
from edgeprep.errors import EdgePrepError, ParityError
from edgeprep.interfaces import CALIBRATED, Placement
from edgeprep.registry import Registry, create
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.train import TrainingData, load_network, open_training
from edgeprep.train.unroll import unrolled

__all__ = ["Conversion"]


@dataclass(slots=True, kw_only=True)
class Conversion:
    """One conversion under way.

    Attributes:
        plan: what is to be done.
        progress: is told of every step.
        scratch: a directory that is gone when the conversion ends.
        steps: where the results of long steps lie.
        grounds: by placement, once its data are read.
        sources: by placement, of the compressed network.
        oracles: by placement.
        tried: in which ways each quantized variant was tried, by its name.
    """

    plan: Plan
    registry: Registry
    progress: Progress
    scratch: Path
    steps: Steps
    grounds: dict[Placement, Ground] = field(default_factory=dict)
    sources: dict[Placement, NetworkSource] = field(default_factory=dict)
    oracles: dict[Placement, Oracle] = field(default_factory=dict)
    tried: dict[str, list[Tried]] = field(default_factory=dict)
    _reached: list[Reached] = field(default_factory=list, init=False)
    _fell: Reached | None = field(default=None, init=False)
    _classes: tuple[int, ...] = field(default=(), init=False)

    def make(self) -> list[MadeVariant]:
        """All variants, each past the parity gate.

        Raises:
            BudgetError: the network is over the recipe's budget before anything is quantized, or a
                quantized variant cannot be used in any way.
            EdgePrepError: a variant cannot be made.
        """
        maker, budget = self.prepare(), self.plan.recipe.budget
        if self._reached:
            ground, end = self.grounds[self.plan.placements[0]], self._reached[-1]
            drop = ground.scorer.drop(ground.score, end.score)
            check_compressed(budget, drop, end, self._fell)
        if budget is None:
            return [maker.make(planned) for planned in self.plan.variants]
        made, faults = list[MadeVariant](), dict[str, EdgePrepError]()
        for planned in self.plan.variants:
            try:
                made.append(maker.make(planned))
            except MENDABLE as error:
                # Its step has said so; the others may say more.
                faults[planned.name] = error
        check_usable(budget, made, faults, self.tried)
        return made

    def prepare(self) -> VariantMaker:
        """What makes the variants, when the network is loaded, scored and compressed."""
        loaded = self._load()
        for placement in self.plan.placements:
            self.grounds[placement] = self._ground(placement, loaded)
        compression = self._compression(loaded)
        # A student may know nothing before it is taught.
        taught = any("imitation" in step.needs() for step in self.plan.passes)
        if not taught:
            self._warn_of_chance(self.grounds[self.plan.placements[0]].score)
        network = compression.run()
        if taught:
            self._warn_of_chance(self._reached[-1].score)
        self._fell = fell_after(self.grounds[self.plan.placements[0]], self._reached)
        for placement in self.plan.placements:
            self.grounds[placement] = measured_from(self.grounds[placement], self._reached)
            self.sources[placement] = self._source(placement, network)
            self.oracles[placement] = self.grounds[placement].oracle(self.sources[placement])

        @once
        def fine_tuned() -> torch.nn.Module:
            step = create(self.registry.get("pass", "quantization-aware"))
            return compression.apply(step, network, where="budget.repair")

        maker = VariantMaker(
            plan=self.plan,
            network=network,
            sources=self.sources,
            oracles=self.oracles,
            rank=once(partial(self._ranking, network)),
            fine_tune=once(lambda placement: self._source(placement, fine_tuned())),
            keep=partial(self._trials, network),
            tried=self.tried,
            progress=self.progress,
        )
        maker.check()
        return maker

    def _warn_of_chance(self, score: float) -> None:
        if text := warning_of_chance(self.grounds[self.plan.placements[0]].scorer, score):
            warn(self.progress, text)

    def check_limits(self, made: Sequence[MadeVariant]) -> None:
        """Hold what the variants cost here against the recipe's limits."""
        budget = self.plan.recipe.budget
        if budget is None or not budget.has_limits:
            return
        costs = {}
        for planned, variant in zip(self.plan.variants, made, strict=True):
            with self.progress(f"measure what {planned.name} costs") as done:
                feed = self.oracles[planned.placement].inputs[0]
                costs[planned.name] = measure_cost(budget, planned, variant, feed)
                done(costs[planned.name].describe())
        check_limits(budget, costs, {one.name: one.exporter.name for one in self.plan.variants})

    def references(self) -> tuple[Reference, ...]:
        """What the pictures of each placement are like, where there are enough to say."""
        found = (
            refer(placement, self.plan.chain, ground.calibration or ground.held_out, self._classes)
            for placement, ground in self.grounds.items()
        )
        return tuple(reference for reference in found if reference is not None)

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
            evaluation = _prepare(plan, plan.evaluation, host, f"data.{plan.held_out}")
            known = {"calibration": calibration, plan.held_out: evaluation}
            done("; ".join(f"{name}: {data.describe()}" for name, data in known.items() if data))
        for name, data in known.items():
            if data and data.skipped:
                # Again, as not everybody sees what steps say.
                warn(self.progress, warning_of_skipped(data.skipped, f"data.{name}"))
        if calibration and any(one.precision in CALIBRATED for one in plan.variants):
            other = f"data.{plan.held_out}"
            for warning in check_calibration(calibration, evaluation, other=other):
                warn(self.progress, warning)
        held_out = evaluation or calibration
        if held_out is None:  # the plan has seen that there is one
            raise ParityError("data: must have samples to prove parity on, got none")
        source = NetworkSource(
            network,
            graph,
            held_out.inputs,
            scratch=self.scratch,
            states=plan.recipe.model.states,
            starts=held_out.starts,
        )
        plan.task.check_outputs(source.answers)
        with self.progress("score the source") as done:
            with fastest_threads(lambda: source.answer(held_out.feed(0))):
                outputs = run_all(source.answer, held_out)
            check_finite(outputs)
            check_decodable(plan.task, outputs, held_out)
            self._classes = classes_in(plan.task, held_out, outputs)
            scorer: Scorer = Agreement.with_source(plan.task, held_out, outputs)
            if evaluation is not None and plan.metric is not None:
                scorer = Scorer(task=plan.task, metric=plan.metric, samples=evaluation)
            score = scorer.score(outputs)
            sampled = sample(scorer, outputs)
            done(f"{scorer.name} {score:.4f} on {len(held_out)} samples")
        return Ground(
            calibration=calibration,
            held_out=held_out,
            scorer=scorer,
            score=score,
            sampled=sampled,
            undecided=self._undecided(outputs),
        )

    def _compression(self, loaded: torch.nn.Module) -> Compression:
        placement = self.plan.placements[0]
        ground = self.grounds[placement]

        def describe(source: NetworkSource) -> str:
            outputs = run_all(source.answer, ground.held_out)
            self._classes = classes_in(self.plan.task, ground.held_out, outputs)
            score = ground.scorer.score(outputs)
            self._note(score, sample(ground.scorer, outputs), self._undecided(outputs))
            count = sum(parameter.numel() for parameter in source.network.parameters())
            return f"{ground.scorer.name} {score:.4f}, {count:,} parameters"

        return Compression(
            loaded=loaded,
            plan=self.plan,
            steps=self.steps,
            scratch=self.scratch,
            image=ground.held_out.feed(0),
            wrap=partial(self._for_passes, placement),
            describe=describe,
            training=once(self._training),
            progress=self.progress,
        )

    def _undecided(self, outputs: Sequence[Outputs]) -> tuple[int, ...]:
        # A golden sample of a network that remembers is one of its frames.
        return () if self.plan.recipe.model.states else least_decided(self.plan.task, outputs)

    def _note(
        self, score: float, sampled: tuple[tuple[int, ...], float], undecided: tuple[int, ...]
    ) -> None:
        """Keep what the next of the recipe's passes came to."""
        index, passes = len(self._reached), self.plan.passes
        if index < len(passes):  # the budget repairs with one that is none of them
            one = Reached(
                after=f"compress[{index}] ({passes[index].name!r})",
                teaches="imitation" in passes[index].needs(),
                score=score,
                sampled=sampled,
                undecided=undecided,
                chance=self.grounds[self.plan.placements[0]].scorer.beside_chance(score),
            )
            self._reached.append(one)

    def _training(self) -> TrainingData:
        plan = self.plan
        return open_training(plan.recipe, chain=plan.chain, task=plan.task, registry=self.registry)

    def _for_passes(self, placement: Placement, network: torch.nn.Module) -> NetworkSource:
        """`network` with what the recipe says of quantizing it in every format."""
        return quantized_as(self.plan.recipe.quantize, self._source(placement, network), network)

    def _source(self, placement: Placement, network: torch.nn.Module) -> NetworkSource:
        _, graph = self.plan.chain.cut(placement)
        calibration = self.grounds[placement].calibration
        empty = np.empty((0, *graph.input.shape()[1:]), np.uint8)
        return NetworkSource(
            network,
            graph,
            empty if calibration is None else calibration.inputs,
            scratch=self.scratch,
            states=self.plan.recipe.model.states,
            starts=() if calibration is None else calibration.starts,
        )

    def _ranking(self, network: torch.nn.Module) -> Ranking:
        """The order in which the layers of `network` go back into float."""
        source = self.sources[self.plan.placements[0]]
        samples, policy = source.whole_samples(), self.plan.recipe.quantize.policy
        whole, example = unrolled(network, source.states), source.sample_shape
        with (
            self.steps.open(ranking_key(self.plan, network), self.scratch) as storage,
            self.progress("rank the layers by what quantizing each one costs") as done,
        ):
            kept = storage / "ranking.json"
            ranking = Ranking.read(kept)
            if ranking is None:
                with fastest_threads(lambda: whole(torch.zeros(example))):
                    found = measure(network, samples, policy=policy, states=source.states)
                ranking = Ranking.of(found)
                ranking.write(kept)
            done(ranking.describe())
        return ranking

    def _trials(
        self, network: torch.nn.Module, planned: PlannedVariant
    ) -> AbstractContextManager[Path]:
        """Where the trials of a variant are kept."""
        return self.steps.open(trials_key(self.plan, network, planned), self.scratch)


def _prepare(plan: Plan, samples: Samples | None, host: Chain, where: str) -> Prepared | None:
    if samples is None:
        return None
    frames = Frames.for_task(plan.task, plan.chain)
    prepared = prepare_samples(
        samples,
        host,
        where,
        fps=plan.recipe.data.fps,
        frames=frames,
        tiling=plan.task.tiling,
    )
    recipe = plan.recipe
    remembers = bool(recipe.model.states)
    check_clips(prepared, recipe.input.frames, remembers=remembers, where=where)
    return prepared
