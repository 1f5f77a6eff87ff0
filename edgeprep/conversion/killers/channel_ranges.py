"""Layers that take channels of very different range, of which eight bits hold the widest alone."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from edgeprep.conversion.killers.finding import Finding, quote
from edgeprep.conversion.killers.neighbours import paths_around
from edgeprep.conversion.killers.observed import CONVOLUTIONS, LAYERS, Observed, kind, path_of

__all__ = ["find_channel_ranges"]

# In decibels, of what a layer gives in the middle of its channels: below 20 its values are off by
# a tenth; and a scale for each channel has to gain so much, or the spread is not what is wrong.
_LEAST_DB, _GAIN_DB = 20.0, 10.0
# The widest channel is so many times as wide as the middle one; 2 is usual, and 4 nothing rare.
_SPREAD = 8.0
# Channels that are no wider are rounding noise, as in networks that were never trained.
_SMALLEST = 1e-3


def find_channel_ranges(network: Observed) -> Iterator[Finding]:
    """Layers that suffer from one scale for all channels of what they take."""
    for node in network.operations(*LAYERS):
        weight = network.weight(node)
        if weight is None or node.name not in network.arriving:
            continue
        arriving, power = network.arriving[node.name], network.leaving[node.name].power
        energy = _energy(node, weight, len(arriving.low))
        if energy is None or not (power > 0).any():
            continue
        steps = arriving.steps
        together = (max(arriving.high.max(), 0.0) - min(arriving.low.min(), 0.0)) / 255
        noises = (
            # What is smaller than a step becomes 0, and is lost no more than once.
            energy @ np.minimum(together**2 / 12, arriving.power),
            energy @ (steps**2 / 12),
        )
        shared, own = (_decibel(power, noise) for noise in noises)
        middle, widest = 255 * float(np.median(steps[steps > 0])), 255 * float(steps.max())
        if shared >= _LEAST_DB or own - shared < _GAIN_DB:
            continue
        if widest < _SPREAD * middle or widest < _SMALLEST:
            continue
        yield Finding(
            killer="channel-ranges",
            paths=(path_of(node),),
            measured=f"{kind(node)} takes channels that are {quote([middle, widest])} "
            f"wide, in the middle and at most: with one scale for all, eight bits leave "
            f"{shared:.0f} dB of its result, with one for each {own:.0f} dB",
            remedy="equalize the layer with the one before it (divide the wide channels there, "
            "multiply their weights here)",
            keep_float=paths_around(node.all_input_nodes[0], [node]),
        )


def _energy(layer: Node, weight: torch.Tensor, channels: int) -> NDArray[np.float64] | None:
    """How much of the noise of each channel gets into each that leaves: `(leaving, arriving)`."""
    squares = (
        weight.double().square().flatten(2).sum(2)
        if weight.ndim > 2
        else (weight.double().square())
    )
    if "transpose" in kind(layer):
        squares = squares.T
    groups = channels // squares.shape[1]
    if kind(layer) not in CONVOLUTIONS or groups == 1:
        return squares.numpy() if squares.shape[1] == channels else None
    if "transpose" in kind(layer) or squares.shape[0] % groups:
        return None
    # Each group sees its own channels alone.
    blocks = squares.reshape(groups, -1, squares.shape[1])
    return np.asarray(torch.block_diag(*blocks).numpy())  # type: ignore[no-untyped-call]


def _decibel(power: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """Signal to noise in the middle of the channels that are not 0."""
    alive = power > 0
    return float(10 * np.log10(np.median(power[alive] / np.maximum(noise[alive], 1e-300))))
