"""Samples as batches that a network takes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.compress.observed import run_network
from edgeprep.errors import ConvertError

__all__ = ["each_batch", "make_batches"]

_CHUNK = 16  # samples at once; more is hardly quicker on a CPU, and takes memory


def make_batches(
    network: torch.nn.Module, inputs: NDArray[np.float32], *, samples: int, rows: int
) -> tuple[torch.Tensor, ...]:
    """Batches of `samples` of `inputs`; see `each_batch`, of which these are all."""
    return tuple(each_batch(network, inputs, samples=samples, rows=rows))


def each_batch(
    network: torch.nn.Module, inputs: NDArray[np.float32], *, samples: int, rows: int
) -> Iterator[torch.Tensor]:
    """Batches of `samples` of `inputs`, spread evenly, several at once where that is the same.

    Args:
        network: that is to take them.
        inputs: `(samples, …)`, float32.
        samples: so many at most.
        rows: so many of `inputs` are one sample.

    Raises:
        ConvertError: there is no whole sample, or the network does not take one.
    """
    count = len(inputs) // rows
    if not count:
        raise ConvertError("simulated int8: samples are needed to measure with, got 0")
    parts = inputs[: count * rows].reshape(count, rows, *inputs.shape[1:])
    chosen = np.unique(np.linspace(0, count - 1, min(samples, count)).astype(int))
    chunk = _CHUNK if _takes_many(network, parts) else 1
    # Later, one by one; but what was run above was run now, before anybody watches the network.
    return (
        # A copy: samples can be on the disk, and read-only.
        torch.tensor(np.concatenate(parts[chosen[start : start + chunk]]))
        for start in range(0, len(chosen), chunk)
    )


def _takes_many(network: torch.nn.Module, parts: NDArray[np.float32]) -> bool:
    """Whether samples can be run at once: the outputs are those of one after the other."""
    first, second = (run_network(network, torch.tensor(part)) for part in parts[[0, -1]])
    try:
        together = run_network(network, torch.tensor(np.concatenate(parts[[0, -1]])))
    except ConvertError:
        return False
    return all(
        one.dim() > 0
        and both.shape == (2 * one.shape[0], *one.shape[1:])
        and torch.allclose(both, torch.cat([one, other]), rtol=1e-3, atol=1e-4)
        for one, other, both in zip(first, second, together, strict=True)
    )
