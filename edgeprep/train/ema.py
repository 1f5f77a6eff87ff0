"""An average of the weights over the steps, which is smoother than the last ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

__all__ = ["MovingAverage"]


class MovingAverage:
    """The exponential moving average of a network's weights and buffers.

    Args:
        network: the first average.
        decay: the weight of the past. It is less in the first steps, in which there is not much
            past, as in TensorFlow's ExponentialMovingAverage: `(1 + step) / (10 + step)`.

    Attributes:
        weights: the average, by the names of the network's state, in float32 or better; of what is
            no float, such as the counters of batch normalization, the last values.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights = {name: _precise(value) for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: torch.nn.Module, step: int) -> None:
        """Take in the weights of `network` after `step`, counted from 0 over all epochs."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            average = self.weights[name]
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), 1 - decay)
            else:
                average.copy_(value)

    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Go on from an average that was kept."""
        for name, value in weights.items():
            self.weights[name].copy_(value)

    @contextmanager
    def inside(self, network: torch.nn.Module) -> Iterator[None]:
        """Inside, `network` has the average for its weights; afterwards it has its own again."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.weights)
        try:
            yield
        finally:
            network.load_state_dict(own)


def _precise(value: torch.Tensor) -> torch.Tensor:
    """A copy in which a thousandth of a weight is not rounded away."""
    half = value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value.clone()
