"""One small network, converted once for all tests: a conversion takes seconds."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep_tflite import LiteRTBackend, TFLiteExporter

HEIGHT, WIDTH = 21, 17

Pictures = NDArray[np.uint8]
SourceMaker = Callable[..., NetworkSource]


def convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class Network(nn.Module):
    """What is hard about names, in layers whose weights have shapes of their own.

    Two lists whose members are called alike; two layers that read the same input, and a ReLU6
    behind each, so that what they share becomes one; an output that a layer gives directly, and
    one behind a transposition; outputs in no alphabetical order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 8, 3)
        self.left = nn.ModuleList([convolution(8, 12, 3)])
        self.right = nn.ModuleList([convolution(8, 12, 5)])
        self.head = nn.Linear(12, 10)
        self.heat = nn.Conv2d(12, 5, 1)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(preprocessed)
        for left, right in zip(self.left, self.right, strict=True):
            x = left(x) + right(x)
        return {"scores": self.head(x.mean((2, 3))), "heat": self.heat(x)}


def randomise_statistics(network: nn.Module) -> nn.Module:
    """Give batch norms something to do: as they are made they scale nothing and shift nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return network.eval()


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(0)
    return randomise_statistics(Network())


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def make_source(
    network: nn.Module, chain: Chain, tmp_path_factory: pytest.TempPathFactory
) -> SourceMaker:
    """A source of `network`, or of the one that is given, on black, white and noise."""
    scratch: Path = tmp_path_factory.mktemp("scratch")
    pictures = np.random.default_rng(0).integers(0, 256, (16, HEIGHT, WIDTH, 3), np.uint8)
    # The ends of the range, which a resize of noise does not reach.
    pictures[0], pictures[1] = 0, 255

    def make(
        other: nn.Module | None = None, *, keep_float: tuple[str, ...] = (), samples: int = 16
    ) -> NetworkSource:
        source = NetworkSource(other or network, chain, pictures[:samples], scratch=scratch)
        return source.keeping(keep_float)

    return make


@pytest.fixture(scope="session")
def models(make_source: SourceMaker) -> Mapping[Precision, Model]:
    exporter = TFLiteExporter()
    return {
        precision: exporter.export(make_source(), precision) for precision in exporter.precisions
    }


@pytest.fixture(scope="session")
def backend() -> LiteRTBackend:
    return LiteRTBackend()


@pytest.fixture(scope="session")
def load(backend: LiteRTBackend) -> Callable[[Model], Runner]:
    return lambda model: backend.load(model, backend.devices()[0], {"threads": 1})


@pytest.fixture(scope="session")
def hard_pictures() -> dict[str, Pictures]:
    shape = (1, HEIGHT, WIDTH, 3)
    ramp = np.arange(np.prod(shape)) % 256
    return {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "ramp": ramp.reshape(shape).astype(np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, shape, np.uint8),
    }
