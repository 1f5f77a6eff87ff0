"""How much of a signal is noise."""

import math
from collections.abc import Iterable, Sequence

import torch

__all__ = ["decibels", "power", "snr_db"]


def snr_db(
    expected: Iterable[Sequence[torch.Tensor]], noisy: Iterable[Sequence[torch.Tensor]]
) -> float:
    """Signal to noise over all batches, of the output that has lost most, in decibels.

    Args:
        expected: of each batch, the outputs without noise.
        noisy: the same with it.

    Returns: infinite where there is no noise.
    """
    signal: dict[int, float] = {}
    noise: dict[int, float] = {}
    for outputs, others in zip(expected, noisy, strict=True):
        for index, (one, other) in enumerate(zip(outputs, others, strict=True)):
            signal[index] = signal.get(index, 0.0) + power(one)
            noise[index] = noise.get(index, 0.0) + power(one - other)
    return min((decibels(signal[index], noise[index]) for index in signal), default=math.inf)


def power(values: torch.Tensor) -> float:
    """The sum of all squares."""
    return float(values.double().square().sum())


def decibels(signal: float, noise: float) -> float:
    """Ten times the logarithm of `signal / noise`; noise that is no number is as bad as can be."""
    if noise == 0:
        return math.inf
    if signal == 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)
