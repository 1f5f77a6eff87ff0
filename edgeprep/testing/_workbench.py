"""The workbench of `small_workbench`. Importing this module imports torch and onnx."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from edgeprep.conversion.source import NetworkSource
from edgeprep.data import warn
from edgeprep.interfaces import Objective, Stage, Task, Workbench
from edgeprep.metrics.accuracy import ACCURACY
from edgeprep.metrics.chance import compare_with_chance
from edgeprep.recipe import TrainTable
from edgeprep.registry import Registry, default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tasks.classify import Classify
from edgeprep.tensors import ImageSpec
from edgeprep.train.objective import objective_for

__all__ = ["SmallWorkbench", "one_thread"]

SIZE = 12
LABELS = ("red", "green", "blue")
# Of trainings: high, because they are short.
RATE = 0.01
BATCH = 16


@contextmanager
def one_thread() -> Iterator[None]:
    """A second one takes longer to wake than so small networks run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(kw_only=True)
class SmallWorkbench(Workbench):
    """A workbench without a recipe; see `edgeprep.testing.small_workbench`.

    Attributes:
        came: the network as it came.
        directory: an existing one, the recipe's.
        kept: the storage; None: a directory in `directory`.
        samples: how many there are to learn from; as many again score.
        measure: what `speedups` answers; None: by how much fewer the parameters are, in "fake".
        labelled: whether the training data have labels.
        told: the steps, as title and outcome.
        trained: names and epochs of the trainings that were asked for and not there yet.
    """

    came: torch.nn.Module
    directory: Path = Path()
    kept: Path | None = None
    samples: int = 48
    measure: Callable[[torch.nn.Module], Mapping[str, float]] | None = None
    labelled: bool = True
    told: list[tuple[str, ...]] = field(default_factory=list)
    trained: list[tuple[str, int]] = field(default_factory=list)

    @cached_property
    def chain(self) -> Chain:
        """Its preprocessing."""
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
        """See `Workbench.source`."""
        calibration, _ = _pictures(8, seed=2)
        return NetworkSource(self.came, self.chain, calibration, scratch=self.storage)

    @property
    def task(self) -> Task:
        """See `Workbench.task`."""
        return Classify(labels=LABELS)

    @property
    def storage(self) -> Path:
        """See `Workbench.storage`."""
        path = self.kept or self.directory / "storage"
        path.mkdir(exist_ok=True)
        return path

    @property
    def input(self) -> ImageSpec:
        """See `Workbench.input`."""
        return ImageSpec(height=SIZE, width=SIZE)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """See `Workbench.stages`."""
        return self.chain.stages

    @property
    def registry(self) -> Registry:
        """See `Workbench.registry`."""
        return default_registry()

    @property
    def seed(self) -> int:
        """See `Workbench.seed`."""
        return 0

    @property
    def objective(self) -> Objective:
        """See `Workbench.objective`."""
        return objective_for(self.task, TrainTable())

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """See `Workbench.step`."""
        outcome: list[str] = []
        yield outcome.append
        self.told.append((title, *outcome))

    def batches(
        self, samples: int | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """See `Workbench.batches`."""
        inputs, labels = self._prepared(seed=0)
        end = min(samples or self.samples, self.samples)
        for start in range(0, end, BATCH):
            part = slice(start, min(start + BATCH, end))
            yield inputs[part], labels[part] if self.labelled else None

    @one_thread()
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
        kept = self.storage / f"{name}.safetensors"
        if kept.exists():
            network.load_state_dict(safetensors.torch.load_file(kept))
            return network.eval()
        self.trained.append((name, epochs))
        objective = objective or self.objective
        learning = [network, *objective.modules()]
        for module in learning:
            module.train().requires_grad_(requires_grad=True)
        parameters = [p for module in learning for p in module.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=learning_rate or RATE)
        # Of what the network itself draws, such as what it drops.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for _ in range(epochs):
                for inputs, labels in self.batches():
                    optimizer.zero_grad()
                    objective.loss(network, inputs, labels).backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
        network.requires_grad_(requires_grad=False)
        safetensors.torch.save_file(network.state_dict(), kept)
        return network.eval()

    def score(self, network: torch.nn.Module) -> float | None:
        """See `Workbench.score`: the share of pictures whose colour is found."""
        inputs, labels = self._prepared(seed=1)
        with torch.inference_mode():
            return float((network.eval()(inputs).argmax(1) == labels).float().mean())

    def examine(
        self,
        answer: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
        *,
        key: str,
        who: str,
        view: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        """See `Workbench.examine`."""
        inputs, labels = self._prepared(seed=1)
        if view is not None:
            images, _ = _pictures(self.samples, seed=1)
            inputs = torch.from_numpy(np.stack([view(image) for image in images]))
        with torch.no_grad():
            output, *_ = answer(inputs)
        score = float((output.argmax(1) == labels).float().mean())
        with self.step(f"score the {key}") as done:
            done(f"accuracy {score:.4f}")
        if warning := compare_with_chance(self.task, ACCURACY, labels.tolist(), score):
            warn(self.step, f"{key}: {who} scores {warning}")

    def speedups(self, network: torch.nn.Module) -> Mapping[str, float]:
        """See `Workbench.speedups`; nothing is measured here."""
        if self.measure is not None:
            return self.measure(network)
        return {"fake": _count_parameters(self.came) / _count_parameters(network)}

    def _prepared(self, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = _pictures(self.samples, seed)
        return torch.from_numpy(self.chain.apply(NumpyPrimitives(), images)), labels


def _pictures(count: int, seed: int) -> tuple[NDArray[Any], torch.Tensor]:
    """Noise in which one channel is brighter: `(count, 12, 12, 3)`, uint8, and which."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    images = random.integers(0, 160, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 40
    return images.astype(np.uint8), torch.from_numpy(labels)


def _count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
