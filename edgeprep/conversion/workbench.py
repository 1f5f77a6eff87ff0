"""What compression passes work with: the recipe's data, its training, its engines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from numpy import uint8
from numpy.typing import NDArray

from edgeprep.conversion.latency import latencies
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.source import NetworkSource
from edgeprep.data import Progress, warn
from edgeprep.interfaces import Model, Objective, Stage, Task, Workbench
from edgeprep.recipe import TrainTable
from edgeprep.registry import Registry
from edgeprep.runtime.memory import zeros
from edgeprep.tensors import ImageSpec
from edgeprep.train import TrainingData, fit, objective_for
from edgeprep.train.chance import examine

__all__ = ["RecipeWorkbench"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeWorkbench(Workbench):
    """The workbench of one pass of one recipe.

    Attributes:
        plan: the recipe, with every name in it resolved.
        source: see `Workbench.source`.
        storage: see `Workbench.storage`.
        image: a graph input to measure latency with, `(1, H, W, C)`, or a clip.
        rewrap: another network in the place of `source`'s.
        training: the recipe's training data; called when a pass asks for them.
        progress: is told of every step.
        where: the path of the pass in the recipe, for messages.
        rate_key: that of the learning rate it trains with, for messages; "" where no key has it.
        exported: the network that came, by format; filled when speed is measured.
    """

    plan: Plan
    source: NetworkSource
    storage: Path
    image: NDArray[uint8]
    rewrap: Callable[[torch.nn.Module], NetworkSource]
    training: Callable[[], TrainingData]
    progress: Progress
    where: str
    rate_key: str
    exported: dict[str, Model] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """See `Workbench.task`."""
        return self.plan.task

    @property
    def directory(self) -> Path:
        """See `Workbench.directory`."""
        return self.plan.recipe.directory

    @property
    def input(self) -> ImageSpec:
        """See `Workbench.input`."""
        return self.plan.chain.input

    @property
    def stages(self) -> tuple[Stage, ...]:
        """See `Workbench.stages`."""
        return self.plan.chain.stages

    @property
    def objective(self) -> Objective:
        """See `Workbench.objective`."""
        return objective_for(self.plan.task, self.plan.recipe.train)

    @property
    def registry(self) -> Registry:
        """See `Workbench.registry`."""
        return self.plan.registry

    @property
    def seed(self) -> int:
        """See `Workbench.seed`."""
        return self.plan.recipe.train.seed

    def step(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """See `Workbench.step`."""
        return self.progress(title)

    def batches(
        self, samples: int | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """See `Workbench.batches`."""
        yield from self.training().batches(samples)

    def fine_tune(
        self,
        network: torch.nn.Module,
        *,
        name: str,
        epochs: int,
        objective: Objective | None = None,
        learning_rate: float | None = None,
    ) -> torch.nn.Module:
        """See `Workbench.fine_tune`."""
        storage = self.storage / name
        storage.mkdir(exist_ok=True)
        return fit(
            network,
            self.training(),
            _shortened(self.plan.recipe.train, epochs),
            storage=storage,
            objective=objective,
            learning_rate=learning_rate,
            progress=self.progress,
            where=self.where,
            rate_key=self.rate_key,
        ).network

    def score(self, network: torch.nn.Module) -> float | None:
        """See `Workbench.score`."""
        return self.training().score(network)

    def examine(
        self,
        answer: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
        *,
        key: str,
        who: str,
        view: Callable[[NDArray[uint8]], NDArray[Any]] | None = None,
    ) -> None:
        """See `Workbench.examine`."""
        with self.progress(f"score the {key}") as done:
            score, warning = examine(self.training(), answer, view)
            done(score or "no labels to score by")
        if warning:
            warn(self.progress, f"{self.where}.{key}: {who} scores {warning}")

    @property
    def _feed(self) -> tuple[NDArray[Any], ...]:
        """All inputs of the graph."""
        states = self.source.states
        return (self.image[:1], *zeros(states)) if states else (self.image,)

    def speedups(self, network: torch.nn.Module) -> Mapping[str, float]:
        """See `Workbench.speedups`."""
        other = self.rewrap(network)
        found = {}
        for planned in _one_of_each_format(self.plan.variants):
            exporter = planned.exporter
            if exporter.name not in self.exported:
                self.exported[exporter.name] = exporter.export(self.source, "fp32")
            models = self.exported[exporter.name], exporter.export(other, "fp32")
            before, after = latencies(planned, models, self._feed)
            found[exporter.name] = before / after
        return found


def _shortened(settings: TrainTable, epochs: int) -> TrainTable:
    """`settings` for another number of epochs, with the same shares of warm-up and steps."""
    share = epochs / settings.epochs
    return replace(
        settings,
        epochs=epochs,
        warmup_epochs=settings.warmup_epochs * share,
        step_epochs=max(1, round(settings.step_epochs * share)),
    )


def _one_of_each_format(variants: Sequence[PlannedVariant]) -> list[PlannedVariant]:
    return list({planned.exporter.name: planned for planned in variants}.values())
