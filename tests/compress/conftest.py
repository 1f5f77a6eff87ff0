"""A workbench over tiny pictures of three colours, with a real small training."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Objective, Stage, Task, Workbench
from edgeprep.recipe import TrainTable
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tasks.classify import Classify
from edgeprep.tensors import ImageSpec
from edgeprep.train.objective import objective_for

SIZE = 12
LABELS = ("red", "green", "blue")


def pictures(count: int, seed: int) -> tuple[np.ndarray[Any, Any], torch.Tensor]:
    """Noise in which one channel is brighter: `(count, 12, 12, 3)`, uint8, and which."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    images = random.integers(0, 160, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 40
    return images.astype(np.uint8), torch.from_numpy(labels)


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@dataclass(kw_only=True)
class FakeWorkbench(Workbench):
    """A workbench without a recipe.

    Attributes:
        came: the network as it came.
        directory: an existing one, for everything.
        samples: how many there are to learn from; as many again score.
        measure: what `speedups` answers; None: by how much fewer the parameters are, in "fake".
        labelled: whether the training data have labels.
        told: the steps, as title and outcome.
        trained: names and epochs of the trainings that were asked for and not there yet.
    """

    came: torch.nn.Module
    directory: Path = Path()
    samples: int = 48
    measure: Callable[[torch.nn.Module], Mapping[str, float]] | None = None
    labelled: bool = True
    told: list[tuple[str, str]] = field(default_factory=list)
    trained: list[tuple[str, int]] = field(default_factory=list)

    @cached_property
    def chain(self) -> Chain:
        return Chain(
            input=self.input,
            stages=(
                Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
                DType(),
                Layout(to="nchw"),
            ),
        )

    @cached_property
    def source(self) -> NetworkSource:
        calibration, _ = pictures(8, seed=2)
        return NetworkSource(self.came, self.chain, calibration, scratch=self.directory)

    @property
    def task(self) -> Task:
        return Classify(labels=LABELS)

    @property
    def storage(self) -> Path:
        path = self.directory / "storage"
        path.mkdir(exist_ok=True)
        return path

    @property
    def input(self) -> ImageSpec:
        return ImageSpec(height=SIZE, width=SIZE)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self.chain.stages

    @property
    def objective(self) -> Objective:
        return objective_for(self.task, TrainTable())

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        outcome: list[str] = []
        yield outcome.append
        self.told.append((title, *outcome))

    def batches(
        self, samples: int | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        inputs, labels = self._prepared(seed=0)
        for start in range(0, min(samples or self.samples, self.samples), 16):
            part = slice(start, start + 16)
            yield inputs[part], labels[part] if self.labelled else None

    def fine_tune(
        self,
        network: torch.nn.Module,
        *,
        name: str,
        epochs: int,
        objective: Objective | None = None,
        learning_rate: float | None = None,
    ) -> torch.nn.Module:
        kept = self.storage / f"{name}.safetensors"
        if kept.exists():
            network.load_state_dict(safetensors.torch.load_file(kept))
            return network.eval()
        self.trained.append((name, epochs))
        objective = objective or self.objective
        learning = [network, *objective.modules()]
        parameters = [p for module in learning for p in module.parameters()]
        for parameter in parameters:
            parameter.requires_grad_(requires_grad=True)
        optimizer = torch.optim.Adam(parameters, lr=learning_rate or 0.01)
        for module in learning:
            module.train()
        for _ in range(epochs):
            for inputs, labels in self.batches():
                optimizer.zero_grad()
                objective.loss(network, inputs, labels).backward()
                optimizer.step()
        network.requires_grad_(requires_grad=False)
        safetensors.torch.save_file(network.state_dict(), kept)
        return network.eval()

    def score(self, network: torch.nn.Module) -> float | None:
        inputs, labels = self._prepared(seed=1)
        with torch.inference_mode():
            return float((network.eval()(inputs).argmax(1) == labels).float().mean())

    def speedups(self, network: torch.nn.Module) -> Mapping[str, float]:
        if self.measure is not None:
            return self.measure(network)
        return {"fake": count_parameters(self.came) / count_parameters(network)}

    def _prepared(self, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = pictures(self.samples, seed)
        return torch.from_numpy(self.chain.apply(NumpyPrimitives(), images)), labels


@pytest.fixture
def workbench(tmp_path: Path) -> Callable[..., FakeWorkbench]:
    """`workbench(network)`: see `FakeWorkbench` for what else it takes."""

    def make(network: torch.nn.Module, **options: Any) -> FakeWorkbench:
        return FakeWorkbench(came=network, directory=tmp_path, **options)

    return make
