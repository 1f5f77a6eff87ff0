"""Samples as batches that a network takes."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.compress.observed import run_network
from edgeprep.errors import ConvertError

__all__ = ["each_batch", "make_batches"]

_CHUNK = 16  # samples at once; more is hardly quicker on a CPU, and takes memory


Inputs = NDArray[np.float32] | Sequence[NDArray[np.float32]]


def make_batches(
    network: torch.nn.Module, inputs: Inputs, *, samples: int, rows: int = 1
) -> tuple[torch.Tensor, ...]:
    """Batches of `samples` of `inputs`; see `each_batch`, of which these are all."""
    return tuple(each_batch(network, inputs, samples=samples, rows=rows))


def each_batch(
    network: torch.nn.Module, inputs: Inputs, *, samples: int, rows: int = 1
) -> Iterator[torch.Tensor]:
    """Batches of `samples` of `inputs`, spread evenly, several at once where that is the same.

    Args:
        network: that is to take them.
        inputs: `(samples, …)`, float32; or each sample as the network takes it alone, such as a
            clip `(1, frames, …)`.
        samples: so many at most.
        rows: so many rows of `inputs` are one sample.

    Raises:
        ConvertError: there is no whole sample, or the network does not take one.
    """
    parts = _parts(inputs, rows)
    if not len(parts):
        raise ConvertError("simulated int8: samples are needed to measure with, got 0")
    last = len(parts) - 1
    chosen = np.unique(np.linspace(0, last, min(samples, len(parts))).astype(int)).tolist()
    chunk = _CHUNK if _takes_many(network, parts) else 1
    # Clips of one length together.
    alike = groupby(sorted(chosen, key=lambda at: parts[at].shape), lambda at: parts[at].shape)
    groups = [[*group] for _, group in alike]
    # Later, one by one; but what was run above was run now, before anybody watches the network.
    return (
        # A copy: samples can be on the disk, and read-only.
        torch.tensor(np.concatenate([parts[at] for at in group[start : start + chunk]]))
        for group in groups
        for start in range(0, len(group), chunk)
    )


def _parts(inputs: Inputs, rows: int) -> Sequence[NDArray[np.float32]]:
    """The samples, each as the network takes it alone."""
    if not isinstance(inputs, np.ndarray):
        return inputs
    count = len(inputs) // rows
    return list(inputs[: count * rows].reshape(count, rows, *inputs.shape[1:]))


def _takes_many(network: torch.nn.Module, parts: Sequence[NDArray[np.float32]]) -> bool:
    """Whether samples can be run at once: the outputs are those of one after the other."""
    last = {part.shape: at for at, part in enumerate(parts)}
    # A sample beside itself would hide that a network mixes those of a batch.
    twice = next((part for at, part in enumerate(parts) if at < last[part.shape]), None)
    if twice is None:
        return False
    pair = [twice, parts[last[twice.shape]]]
    first, second = (run_network(network, torch.tensor(part)) for part in pair)
    try:
        together = run_network(network, torch.tensor(np.concatenate(pair)))
    except ConvertError:
        return False
    return all(
        one.dim() > 0
        and both.shape == (2 * one.shape[0], *one.shape[1:])
        and torch.allclose(both, torch.cat([one, other]), rtol=1e-3, atol=1e-4)
        for one, other, both in zip(first, second, together, strict=True)
    )
