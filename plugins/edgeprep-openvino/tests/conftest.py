"""A small network, its preprocessing and its samples."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Runner
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep_openvino import OpenVINOBackend
from edgeprep_openvino._signals import kept_signal_stack
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced: the tests import openvino themselves.
import openvino  # noqa: E402

HEIGHT, WIDTH = 21, 17

SourceMaker = Callable[..., NetworkSource]


class Network(nn.Module):
    """Two outputs; every layer with weights has another shape, so that tests can tell them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()
        )
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 5, 1, 2, groups=8), nn.ReLU6(), nn.Conv2d(8, 12, 1), nn.ReLU()
        )
        self.head = nn.Linear(12, 5)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(self.stem(preprocessed))
        return {"scores": self.head(features.mean((2, 3))), "heat": features.sum(1)}


def randomise_statistics(network: nn.Module) -> nn.Module:
    """Give batch norms something to do; as they are made they scale nothing and shift nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return network.eval()


@pytest.fixture
def chain() -> Chain:
    """Odd sizes, so that the resize has weights that are no powers of two."""
    return Chain(
        input=ImageSpec(height=HEIGHT, width=WIDTH),
        stages=(
            Resize(size=(16, 16)),
            Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            DType(to="float32"),
            Layout(to="nchw"),
        ),
    )


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return randomise_statistics(Network())


@pytest.fixture
def make_source(chain: Chain, network: nn.Module, tmp_path: Path) -> SourceMaker:
    """A source of `network`, or of the one that is given, on sixteen pictures of noise."""
    pictures = np.random.default_rng(0).integers(0, 256, (16, HEIGHT, WIDTH, 3), np.uint8)

    def make(other: nn.Module | None = None, keep_float: tuple[str, ...] = ()) -> NetworkSource:
        source = NetworkSource(other or network, chain, pictures, scratch=tmp_path)
        return source.keeping(keep_float)

    return make


@pytest.fixture
def backend() -> OpenVINOBackend:
    return OpenVINOBackend()


@pytest.fixture
def load(backend: OpenVINOBackend) -> Callable[..., Runner]:
    """Load a model on the CPU, exactly, on one thread."""
    return lambda model: backend.load(
        model, backend.devices()[0], {"threads": 1, "precision": "f32"}
    )


@pytest.fixture
def read() -> Callable[[Model], Any]:
    """The graph of an exported model, as openvino holds it."""

    def read_model(model: Model) -> Any:
        weights = openvino.Tensor(np.frombuffer(model.files["model.bin"], np.uint8))
        return openvino.Core().read_model(model=model.files["model.xml"], weights=weights)

    return read_model


@pytest.fixture
def hard_pictures() -> dict[str, np.ndarray]:
    shape = (1, HEIGHT, WIDTH, 3)
    ramp = np.arange(np.prod(shape)) % 256
    return {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "ramp": ramp.reshape(shape).astype(np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, shape, np.uint8),
    }


@pytest.fixture(autouse=True)
def _signal_stack() -> Iterator[None]:
    """Cores of OpenVINO that go in another order than they came leave signals without a stack."""
    with kept_signal_stack():
        yield
