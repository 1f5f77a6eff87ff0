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
from edgeprep.tensors import ImageSpec

__all__ = ["randomise", "reference", "small_source"]


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


def randomise(norm: torch.nn.Module) -> None:
    """Give a batch norm something to do: as it is made it scales nothing and shifts nothing."""
    for name, tensor in norm.state_dict().items():
        if name != "num_batches_tracked":
            low, high = (-1.0, 1.0) if name in ("bias", "running_mean") else (0.5, 1.5)
            torch.nn.init.uniform_(tensor, low, high)


def reference(source: Source, picture: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """What torch computes for `(1, H, W, C)`."""
    with torch.no_grad():
        return [output.numpy() for output in source.deployed(torch.from_numpy(picture))]
