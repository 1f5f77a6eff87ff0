"""What occurred in a tensor, sample after sample."""

from math import inf, isfinite

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ChannelsSeen", "Seen"]

# So many values of each sample are kept for quantiles, evenly spaced.
_KEPT = 4096


class Seen:
    """The range of one tensor, and some of its values.

    Attributes:
        low: the least finite value; `high` the greatest.
        infinite: whether there were infinities, too.
    """

    def __init__(self) -> None:
        self.low, self.high, self.infinite = inf, -inf, False
        self._kept: list[NDArray[np.float32]] = []

    def add(self, tensor: torch.Tensor) -> None:
        """One more sample."""
        values = tensor.detach().flatten().float()
        if not values.numel():
            return
        low, high = (float(end) for end in values.aminmax())
        if not (isfinite(low) and isfinite(high)):
            # Rarely: to look for what is finite takes longer than all the rest.
            self.infinite = True
            values = values[values.isfinite()]
            if not values.numel():
                return
            low, high = (float(end) for end in values.aminmax())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._kept.append(values[:: max(1, values.numel() // _KEPT)].clone().numpy())

    @property
    def largest(self) -> float:
        """The greatest finite value without its sign; 0 where there was none."""
        return max(-self.low, self.high, 0.0)

    @property
    def step(self) -> float:
        """What one of the 255 steps of eight bits is worth, if they span the range and 0."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        return (high - low) / 255 if isfinite(high - low) else 0.0

    @property
    def values(self) -> NDArray[np.float32]:
        """Some of the finite values, evenly spaced."""
        return np.concatenate([np.empty(0, np.float32), *self._kept])


class ChannelsSeen:
    """What occurred in each channel of one tensor.

    Args:
        axis: which one the channels are along.

    Attributes:
        low: the least value, `(channels,)`; `high` the greatest.
    """

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self._count = 0
        self.low: NDArray[np.float64] = np.empty(0)
        self.high: NDArray[np.float64] = np.empty(0)
        self._squares: NDArray[np.float64] = np.empty(0)

    def add(self, tensor: torch.Tensor) -> None:
        """One more sample."""
        rows = tensor.detach().float().movedim(self._axis, 0).flatten(1)
        found = (*rows.aminmax(dim=1), torch.linalg.vector_norm(rows, dim=1))
        low, high, norm = (one.double().numpy() for one in found)
        squares = norm**2
        if not self._count:
            self.low, self.high, self._squares = low, high, squares
        else:
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
            self._squares = self._squares + squares
        self._count += rows.shape[1]

    @property
    def power(self) -> NDArray[np.float64]:
        """The mean square of each channel."""
        return self._squares / self._count

    @property
    def steps(self) -> NDArray[np.float64]:
        """What one of 255 steps would be worth in each channel, if it had its own range."""
        return (np.maximum(self.high, 0.0) - np.minimum(self.low, 0.0)) / 255
