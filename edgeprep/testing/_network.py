"""The network of `small_source`, and what torch computes. Importing this module imports torch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Source
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec, TensorSpec

__all__ = ["randomise", "reference", "small_source", "stateful_source"]


class _Network(torch.nn.Module):
    """Batch norm, depthwise and pointwise convolutions, and two outputs of different rank."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU6(),
            torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
            torch.nn.Hardswish(),
            torch.nn.Conv2d(8, 12, 1),
        )
        self.head = torch.nn.Linear(12, 5)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.features(preprocessed)
        # Not in alphabetical order, in which some formats list them.
        return {"scores": self.head(features.mean((2, 3))), "heat": features[:, :2]}


def small_source(scratch: Path) -> Source:
    """See `edgeprep.testing.small_source`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Network().eval()
        randomise(network.features[1])
    chain = Chain(
        # Odd sizes, that no power of two divides and that are not square.
        input=ImageSpec(height=21, width=17),
        stages=(
            Resize(size=(16, 12)),
            Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            DType(),
            Layout(to="nchw"),
        ),
    )
    # Coarse colours with noise: on noise alone, features of all pictures would look the same.
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (16, 3, 3, 3)).repeat(7, axis=1).repeat(7, axis=2)[:, :, :17]
    pictures = np.clip(coarse + random.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)
    return NetworkSource(network, chain, pictures, scratch=scratch)


class _Gru(torch.nn.Module):
    """Two states, of a convolutional GRU and of a running mean, and one of them is an output."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.gates = torch.nn.Conv2d(12, 12, 3, padding=1)
        self.candidate = torch.nn.Conv2d(12, 6, 3, padding=1)
        self.head = torch.nn.Linear(6, 4)

    def forward(
        self, preprocessed: torch.Tensor, hidden: torch.Tensor, mean: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        features = torch.relu(self.features(preprocessed))
        reset, update = self.gates(torch.cat((features, hidden), 1)).sigmoid().chunk(2, 1)
        new = torch.tanh(self.candidate(torch.cat((features, reset * hidden), 1)))
        hidden = update * hidden + (1 - update) * new
        mean = 0.5 * mean + 0.5 * self.head(hidden.mean((2, 3)))
        return mean, hidden, mean


def stateful_source(scratch: Path) -> Source:
    """A network that remembers, with two clips for its calibration, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Gru().eval()
    chain = Chain(
        input=ImageSpec(height=16, width=12),
        stages=(Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)), DType(), Layout()),
    )
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (16, 4, 3, 3)).repeat(4, axis=1).repeat(4, axis=2)
    pictures = np.clip(coarse + random.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)
    states = (
        TensorSpec(name="hidden", shape=(1, 6, 8, 6), dtype="float32"),
        TensorSpec(name="mean", shape=(1, 4), dtype="float32"),
    )
    return NetworkSource(network, chain, pictures, scratch=scratch, states=states, starts=(0, 9))


def randomise(norm: torch.nn.Module) -> None:
    """Give a batch norm something to do: as it is made it scales nothing and shifts nothing."""
    for name, tensor in norm.state_dict().items():
        if name != "num_batches_tracked":
            low, high = (-1.0, 1.0) if name in ("bias", "running_mean") else (0.5, 1.5)
            torch.nn.init.uniform_(tensor, low, high)


def reference(source: Source, feed: tuple[NDArray[Any], ...]) -> list[NDArray[Any]]:
    """What torch computes for `(1, H, W, C)`, and the states after it."""
    with torch.no_grad():
        return [output.numpy() for output in source.deployed(*map(torch.from_numpy, feed))]
