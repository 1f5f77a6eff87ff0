"""What compression passes work with: the recipe's data, its training, its engines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy import uint8
from numpy.typing import NDArray

from edgeprep.conversion.latency import latencies
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.progress import Progress
from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Objective, Stage, Task, Workbench
from edgeprep.tensors import ImageSpec

__all__ = ["RecipeWorkbench"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeWorkbench(Workbench):
    """The workbench of one pass of one recipe.

    Attributes:
        plan: the recipe, with every name in it resolved.
        source: see `Workbench.source`.
        storage: see `Workbench.storage`.
        image: a graph input, `(1, H, W, C)`, to measure latency with.
        rewrap: another network in the place of `source`'s.
        progress: is told of every step.
    """

    plan: Plan
    source: NetworkSource
    storage: Path
    image: NDArray[uint8]
    rewrap: Callable[[torch.nn.Module], NetworkSource]
    progress: Progress

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
        raise NotImplementedError

    def step(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """See `Workbench.step`."""
        return self.progress(title)

    def batches(
        self, samples: int | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """See `Workbench.batches`."""
        raise NotImplementedError

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
        raise NotImplementedError

    def score(self, network: torch.nn.Module) -> float | None:
        """See `Workbench.score`."""
        raise NotImplementedError

    def speedups(self, network: torch.nn.Module) -> Mapping[str, float]:
        """See `Workbench.speedups`."""
        other = self.rewrap(network)
        found = {}
        for planned in _one_of_each_format(self.plan.variants):
            before, after = latencies(planned, (self.source, other), self.image)
            found[planned.exporter.name] = before / after
        return found


def _one_of_each_format(variants: Sequence[PlannedVariant]) -> list[PlannedVariant]:
    return list({planned.exporter.name: planned for planned in variants}.values())
