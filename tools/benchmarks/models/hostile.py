"""The zoo's network with one hostile layer: its channels differ in range by a factor of 30,000.

A 1×1 convolution widens them and another one brings them back, so that the function is the same
in float. In 8 bits, one scale for all channels leaves nothing of the narrow ones.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from edgeprep.data.factory import load_factory

__all__ = ["build", "calibration", "evaluation"]

ZOO = Path(__file__).resolve().parents[3] / "model_zoo" / "digits-mobilenet"
PLACE = 3  # of eight blocks
FACTOR = 3e4


def build(width: float = 1.5) -> Any:
    """The network with its weights; `width` is the zoo's."""
    network: Any = load_factory("model:build", ZOO, "model.factory")(classes=10, width=width)
    network.load_state_dict(load_file(ZOO / "weights.safetensors"))
    block = network.features[PLACE]
    channels = block[-1][0].out_channels
    order = torch.from_numpy(np.random.default_rng(0).permutation(channels))
    scales = FACTOR ** (order / (channels - 1))
    network.features[PLACE] = nn.Sequential(block, diagonal(scales), diagonal(1 / scales))
    return network


def diagonal(scales: torch.Tensor) -> nn.Conv2d:
    """A 1×1 convolution that multiplies each channel by its own number."""
    convolution = nn.Conv2d(len(scales), len(scales), 1, bias=False)
    convolution.weight.data = torch.diag(scales.float())[:, :, None, None]
    return convolution


def calibration() -> Iterator[object]:
    """The zoo's."""
    samples = load_factory("data:calibration", ZOO, "data.calibration")()
    yield from islice(samples, 128)


def evaluation() -> Iterator[object]:
    """The zoo's."""
    yield from load_factory("data:evaluation", ZOO, "data.evaluation")()
