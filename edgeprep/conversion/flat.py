"""Networks with several inputs as networks with one, for what looks at layers one by one."""

from collections.abc import Iterable, Sequence
from copy import copy
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.tensors import TensorSpec

__all__ = ["flat_network", "flat_samples"]


def flat_network(network: torch.nn.Module, inputs: Sequence[TensorSpec]) -> torch.nn.Module:
    """`network`, taking all of its inputs in one row a sample: float32 `(N, numbers)`.

    Its modules are those of `network`, under the same paths.

    Args:
        network: that takes `inputs`, any number of samples at once.
        inputs: of one sample each, with a first axis of length 1.
    """
    lengths = [prod(spec.shape) for spec in inputs]

    def forward(rows: torch.Tensor) -> object:
        parts = torch.split(rows, lengths, dim=1)
        return network.forward(
            *(part.reshape(-1, *spec.shape[1:]) for part, spec in zip(parts, inputs, strict=True))
        )

    flat = copy(network)
    # NOTE: on this object alone; the dictionary of modules is that of `network`.
    flat.forward = forward
    return flat


def flat_samples(feeds: Iterable[Sequence[NDArray[np.float32]]]) -> NDArray[np.float32]:
    """`feeds` as `flat_network` takes them: `(samples, numbers)`."""
    rows = [np.concatenate([part.reshape(-1) for part in feed]) for feed in feeds]
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)
