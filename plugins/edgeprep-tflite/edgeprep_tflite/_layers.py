"""Which module of the network each operator of a converted file came from."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

__all__ = ["list_float_operators", "list_modules", "list_operators"]

_Kind = schema.BuiltinOperator

# Their second input is the weight.
_WEIGHTED = frozenset(
    {
        _Kind.CONV_2D,
        _Kind.CONV_3D,
        _Kind.DEPTHWISE_CONV_2D,
        _Kind.FULLY_CONNECTED,
        _Kind.TRANSPOSE_CONV,
        _Kind.BATCH_MATMUL,
    }
)


def list_operators(
    model: schema.ModelT, kind: str
) -> Iterator[tuple[schema.OperatorT, schema.SubGraphT]]:
    """The operators of one kind, such as "PADV2", with the graph that each is in."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode == getattr(_Kind, kind):
                yield operator, graph


def list_float_operators(
    model: schema.ModelT,
    keep_float: Collection[str],
    layers: Collection[str],
    tensors: Collection[str],
) -> Iterator[tuple[schema.OperatorT, schema.SubGraphT]]:
    """The operators that stay in float: the preprocessing, and what is asked for.

    Args:
        model: a file whose tensors are named by module paths.
        keep_float: module paths, each of which stands for all that is inside it.
        layers: the paths of the modules that have weights.
        tensors: names of tensors; what reads or writes one of them stays in float.
    """
    kept = tuple(f"{path}." for path in keep_float)
    for index, graph in enumerate(model.subgraphs):
        # An operator without a name, which the converter put in, goes with what it reads.
        source = frozenset({"network" if index else "preprocessing"})
        origin = dict.fromkeys(graph.inputs, source)
        seen: set[str] = set()
        for operator in graph.operators:
            modules = _own(list_modules(operator, graph, model), frozenset(layers), seen)
            if not modules:
                modules = frozenset().union(*(origin.get(i, ()) for i in operator.inputs))
            origin |= dict.fromkeys(operator.outputs, modules)
            of_network = {path for path in modules if path.split(".")[0] == "network"}
            touched = {
                graph.tensors[i].name.decode() for i in (*operator.inputs, *operator.outputs)
            }
            if (
                not of_network
                or any(f"{path}.".startswith(kept) for path in of_network)
                or not touched.isdisjoint(tensors)
            ):
                yield operator, graph


def list_modules(
    operator: schema.OperatorT, graph: schema.SubGraphT, model: schema.ModelT
) -> frozenset[str]:
    """The paths of the modules that `operator` is named for: several, where they were fused.

    The weight is asked first, because the output is named for the activation too, whose constants
    can be those of another layer. What gives an output of the graph is named for that output
    alone; its constants still tell.
    """
    tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
    constants = [tensor for tensor in tensors if model.buffers[tensor.buffer].data is not None]
    outputs = [graph.tensors[index] for index in operator.outputs]
    kind = model.operatorCodes[operator.opcodeIndex].builtinCode
    weights = [tensor for tensor in tensors[1:2] if kind in _WEIGHTED and tensor in constants]
    return _paths(weights) or _paths(outputs) or _paths(constants)


def _own(modules: frozenset[str], layers: frozenset[str], seen: set[str]) -> frozenset[str]:
    """`modules` without the layers that an operator is named for and that are not its own.

    What two layers compute alike, such as the transposition of an input that both read, becomes
    one. It keeps the name of the first, and gives it to the second as well. So a layer that was
    seen before counts only where there is no other: that is one layer called twice.
    """
    named = modules & layers
    own = named - seen or named
    seen |= own
    return modules - named | own


def _paths(tensors: list[Any]) -> frozenset[str]:
    # `network.a.0;;network.a.1;2`: paths, each closed by a semicolon, and a number.
    names = "".join(tensor.name.decode() for tensor in tensors)
    return frozenset(re.findall(r"(?:network|preprocessing)[^;]*(?=;)", names))
