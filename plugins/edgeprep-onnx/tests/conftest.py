"""A small network with its preprocessing and samples, and what the exporter makes of it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Device, Model, Precision, Runner
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend

HEIGHT, WIDTH = 45, 33  # odd, and resized to what no factor of two divides

SourceMaker = Callable[..., NetworkSource]


class Network(nn.Module):
    """Two outputs; a layer of each kind that is quantized in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 5, 1, 2, groups=8), nn.Hardswish(), nn.Conv2d(8, 12, 1), nn.ReLU()
        )
        self.head = nn.Linear(12, 5)
        self.mask = nn.Conv2d(12, 2, 1)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(self.stem(preprocessed))
        return {"scores": self.head(features.mean((2, 3))), "mask": self.mask(features)}


def randomise_statistics(network: nn.Module) -> nn.Module:
    """Give batch norms something to do; as they are made they scale nothing and shift nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return network.eval()


def pictures(count: int, seed: int) -> NDArray[np.uint8]:
    """Coarse colours with noise on them: unlike pure noise, they reach far values of features."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 5, 4, 3)).repeat(9, axis=1).repeat(9, axis=2)
    fine = generator.normal(0, 12, (count, HEIGHT, WIDTH, 3))
    return np.clip(coarse[:, :HEIGHT, :WIDTH] + fine, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def hard_samples() -> NDArray[np.uint8]:
    """Pictures, then black, white, and the finest pattern there is: `(6, H, W, C)`."""
    extremes = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    extremes[1] = 255
    extremes[2, ::2, ::2] = extremes[2, 1::2, 1::2] = 255
    return np.concatenate([pictures(3, seed=1), extremes])


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(0)
    return randomise_statistics(Network())


@pytest.fixture(scope="session")
def make_source(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> SourceMaker:
    """A source of `network`, or of the one that is given."""
    chain = Chain(
        input=ImageSpec(height=HEIGHT, width=WIDTH),
        stages=(
            Resize(size=(30, 22)),
            Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            DType(to="float32"),
            Layout(to="nchw"),
        ),
    )

    def make(
        other: nn.Module | None = None, calibration: NDArray[np.uint8] | None = None
    ) -> NetworkSource:
        return NetworkSource(
            network if other is None else other,
            chain,
            pictures(16, seed=0) if calibration is None else calibration,
            scratch=tmp_path_factory.mktemp("scratch"),
        )

    return make


@pytest.fixture(scope="session")
def source(make_source: SourceMaker) -> NetworkSource:
    return make_source()


@pytest.fixture(scope="session")
def models(source: NetworkSource) -> dict[Precision, Model]:
    exporter = OnnxExporter()
    return {precision: exporter.export(source, precision) for precision in exporter.precisions}


@pytest.fixture(scope="session")
def backend() -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend()


@pytest.fixture(scope="session")
def cpu(backend: OnnxRuntimeBackend) -> Device:
    return backend.devices()[0]


@pytest.fixture(scope="session")
def load(backend: OnnxRuntimeBackend, cpu: Device) -> Callable[[Model], Runner]:
    """Load a model on one thread of the CPU."""
    return lambda model: backend.load(model, cpu, {"threads": 1})
