"""A source that is small enough for a test and has what exporters trip over."""

from pathlib import Path

import numpy as np
import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Source
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

__all__ = ["small_source"]


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

    def forward(self, preprocessed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.features(preprocessed)
        return self.head(features.mean((2, 3))), features[:, :2]


def small_source(scratch: Path) -> Source:
    """A network of two outputs behind a resize and a normalization, always the same.

    Args:
        scratch: an existing directory for temporary files, such as pytest's `tmp_path`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Network().eval()
        for parameter in network.features[1].parameters():
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
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
