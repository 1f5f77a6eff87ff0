"""How much each channel of a network matters."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch_pruning.pruner import importance as library  # type: ignore[import-untyped]

from edgeprep.compress._groups import Group, NetworkGraph
from edgeprep.compress.prune import Importance
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Workbench
from edgeprep.train.unroll import unrolled

__all__ = ["collect_gradients", "rank_units"]

_SCORERS: Mapping[Importance, Callable[[], Any]] = {
    "l1": lambda: library.GroupMagnitudeImportance(p=1),
    "l2": lambda: library.GroupMagnitudeImportance(p=2),
    "taylor": library.GroupTaylorImportance,
    "bn-scale": library.BNScaleImportance,
}


def rank_units(graph: NetworkGraph, group: Group, importance: Importance) -> torch.Tensor | None:
    """How much each unit of `group` matters, `(units,)`, 1 on average; None where nothing says.

    Args:
        graph: of the network; for "taylor", its parameters have gradients.
        group: one of the graph's.
        importance: by what.
    """
    values = _SCORERS[importance]()(graph.all_of(group))
    # The library answers for another layer's channels where that one has several for each.
    if values is None or len(values) != group.channels:
        return None
    units = [group.indices([unit]) for unit in range(group.units)]
    ranks: torch.Tensor = values[torch.tensor(units)].mean(1).detach()
    return ranks


def collect_gradients(network: torch.nn.Module, bench: Workbench, samples: int) -> None:
    """Give the parameters of `network` the gradients of the task's loss on training samples.

    Raises:
        RecipeError: the recipe names no training data, or they have no labels.
    """
    objective, whole = bench.objective, unrolled(network, bench.source.states)
    for inputs, labels in bench.batches(samples):
        if labels is None:
            raise RecipeError(
                "prune.importance: 'taylor' must have labelled training data, got some without; "
                "rank by 'l2'"
            )
        with torch.enable_grad():
            # Weighted, as the last batch may be a smaller one.
            loss = objective.loss(whole, inputs, labels) * len(inputs)
        torch.autograd.backward(loss)
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
