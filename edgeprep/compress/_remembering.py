"""Networks that remember, in the dependency graph: states are ends of it, and have their names.

A channel of a state is the same one when it comes and when it goes. So all channels of a state
stay, and those of layers that they can only go together with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch_pruning.pruner.function import BasePruningFunc  # type: ignore[import-untyped]

from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs

__all__ = ["PRUNERS", "Remembering", "State"]


class State(torch.nn.Module):
    """A state on its way into the network.

    Args:
        spec: with channels in axis 1.
    """

    def __init__(self, spec: TensorSpec) -> None:
        super().__init__()
        self.name = spec.name
        self.channels = spec.shape[1] if len(spec.shape) > 1 else 1

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """The same values, computed, so that the graph has a place for them."""
        return state.detach().requires_grad_() * 1


class _StatePruner(BasePruningFunc):  # type: ignore[misc]
    def prune_out_channels(self, layer: State, idxs: Sequence[int]) -> State:
        raise NotImplementedError  # groups with states stay

    def prune_in_channels(self, layer: State, idxs: Sequence[int]) -> State:
        raise NotImplementedError

    def get_out_channels(self, layer: State) -> int:
        return layer.channels

    def get_in_channels(self, layer: State) -> int:
        return layer.channels


PRUNERS = {State: _StatePruner()}


class Remembering(torch.nn.Module):
    """One call of `network`, as the dependency graph sees it.

    Args:
        network: takes a picture and its states, and returns outputs and new states.
        states: those.
    """

    def __init__(self, network: torch.nn.Module, states: Sequence[TensorSpec]) -> None:
        super().__init__()
        self.network = network
        self.states = torch.nn.ModuleList(map(State, states))
        self._names: dict[Any, str] = {}

    @property
    def names(self) -> Mapping[Any, str]:
        """By the gradient function of what the last call returned: the state that it is, or ""."""
        return self._names

    def forward(self, picture: torch.Tensor, *states: torch.Tensor) -> list[torch.Tensor]:
        """All outputs; those that the graph looks at are its ends, whoever else reads them."""
        arriving = (one(state) for one, state in zip(self.states, states, strict=True))
        outputs = flatten_outputs(self.network(picture, *arriving)).values()
        returned = [value * 1 for value in outputs]
        names = [""] * (len(returned) - len(states)) + [str(one.name) for one in self.states]
        self._names = {value.grad_fn: name for value, name in zip(returned, names, strict=True)}
        return returned
