"""The modules on the way from one layer with weights to the next.

A tensor between two layers stays in float only if both do, and all that is between them.
"""

from collections.abc import Sequence

from torch.fx import Node

from edgeprep.conversion.killers.observed import LAYERS, kind, path_of

__all__ = ["paths_around"]


def paths_around(node: Node, readers: Sequence[Node]) -> tuple[str, ...]:
    """From the layer whose values `node` gives to those of `readers`; () where one has no module.

    Args:
        node: what gives the tensor.
        readers: what takes it.
    """
    between = [node]
    while kind(node) not in LAYERS and node.all_input_nodes and node.op == "call_function":
        node = node.all_input_nodes[0]
        between.insert(0, node)
    waiting, behind = list(readers), dict[Node, None]()
    while waiting:
        node = waiting.pop(0)
        behind[node] = None
        if kind(node) not in LAYERS:
            waiting += [user for user in node.users if user.op == "call_function"]
    paths = [path_of(each) for each in (*between, *behind) if each.op == "call_function"]
    return tuple(dict.fromkeys(paths)) if all(paths) else ()
