"""What has to go with a channel: the closure over the edges of the dependency graph.

The library's own search ends only where indices come back as they were; where it takes the parts
of a split for one another, as around a channel shuffle, they drift on and on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch_pruning._helpers import GroupItem, _HybridIndex  # type: ignore[import-untyped]
from torch_pruning.dependency import (  # type: ignore[import-untyped]
    Dependency,
    index_mapping,
)
from torch_pruning.dependency import Group as LibraryGroup

__all__ = ["Closure", "Drifting", "close"]


class Drifting(Exception):
    """The graph leads to channels that a layer does not have."""


@dataclass(frozen=True, slots=True)
class Closure:
    """Layers with the channels that go.

    Attributes:
        group: as the library's importances and its pruning take it.
        clash: whether a channel of one layer goes with several of the layer that was asked for.
    """

    group: Any
    clash: bool


def close(
    graph: Any, module: torch.nn.Module, prune: Any, indices: Sequence[int], most: int
) -> Closure:
    """All that goes with the channels `indices` of `module`.

    Args:
        graph: the library's.
        module: one in the graph.
        prune: the library's function that removes channels of it, of its inputs or its outputs.
        indices: which.
        most: more channels than there are anywhere in the network.

    Raises:
        Drifting: the graph is wrong about this network.
    """
    index_mapping.update_index_mapping(graph)
    node = graph.module2node[module]
    found: dict[tuple[Any, Any], tuple[Any, dict[_HybridIndex, None]]] = {}
    stack = [(Dependency(prune, prune, node, node), [_HybridIndex(i, i) for i in indices])]
    while stack:
        edge, arriving = stack.pop()
        known = found.get((edge.target, edge.handler), (edge, {}))[1]
        new = [index for index in arriving if index not in known]
        if not new:
            continue
        _check(graph, edge, new, most)
        known.update(dict.fromkeys(new))
        found[edge.target, edge.handler] = (edge, known)
        for other in edge.target.dependencies:
            if other.is_triggered_by(edge.handler):
                mapped = new
                for mapping in other.index_mapping:
                    mapped = mapped if mapping is None else mapping(mapped)
                stack.append((other, mapped))
    group = LibraryGroup()
    group._DG = graph
    clash = False
    for edge, known in found.values():
        # Of several that ask for a channel to go, the first.
        roots = {index.idx: index.root_idx for index in reversed(known)}
        clash = clash or len(roots) < len(known)
        item = GroupItem(edge, sorted(roots))
        item.root_idxs = [roots[index] for index in item.idxs]
        group.items.append(item)
    return Closure(group, clash)


def _check(graph: Any, edge: Any, indices: Sequence[_HybridIndex], most: int) -> None:
    count = (
        graph.get_out_channels(edge.target)
        if graph.is_out_channel_pruning_fn(edge.handler)
        else graph.get_in_channels(edge.target)
    )
    # What is no layer has no count.
    if any(index.idx >= (most if count is None else count) for index in indices):
        raise Drifting
