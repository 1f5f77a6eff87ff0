"""Networks that remember, over whole clips."""

from collections.abc import Sequence
from typing import Any

import torch

from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs

__all__ = ["through", "unrolled"]


class _Unrolled(torch.nn.Module):
    """`network` over the frames of clips, one after the other.

    Args:
        network: takes a picture and its states, and returns outputs and new states.
        states: of one picture each.
    """

    def __init__(self, network: torch.nn.Module, states: Sequence[TensorSpec]) -> None:
        super().__init__()
        self.network = network
        self._states = states

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs for the last frames, without states, for `clips`: `(N, frames, …)`."""
        now = [clips.new_zeros((len(clips), *state.shape[1:])) for state in self._states]
        outputs: list[torch.Tensor] = []
        for picture in clips.unbind(1):
            outputs = list(flatten_outputs(self.network(picture, *now)).values())
            now = outputs[-len(now) :]
        return tuple(outputs[: -len(now)])


def unrolled(network: torch.nn.Module, states: Sequence[TensorSpec]) -> torch.nn.Module:
    """A network of clips `(N, frames, …)`: `network` itself where it has no states.

    It starts with zeros in every clip, and what it answers to the last frame is what counts.
    """
    return _Unrolled(network, states) if states else network


def through(graph: torch.nn.Module, pictures: torch.Tensor) -> Any:
    """What the preprocessing `graph` makes of pictures, or of each frame of clips.

    Args:
        graph: `(N, H, W, C)`, uint8, to what networks take; or to a tuple, with views beside it.
        pictures: such, or `(N, frames, H, W, C)`.

    Returns:
        What `graph` gives, `(N, …)`, or of clips `(N, frames, …)`.
    """
    if pictures.ndim == 4:
        return graph(pictures)
    each = graph(pictures.flatten(0, 1))
    if isinstance(each, tuple):
        return tuple(one.unflatten(0, pictures.shape[:2]) for one in each)
    return each.unflatten(0, pictures.shape[:2])
