"""The graph of another ONNX model, made fit to be a part of a chain's graph."""

from collections.abc import Iterable, Mapping

import onnx
import onnx.inliner
from onnx import version_converter

from edgeprep.errors import ExportError

__all__ = ["foreign_graph"]


def foreign_graph(content: bytes, opset: int, *, takes: str, prefix: str) -> onnx.GraphProto:
    """The graph of a model under names of its own.

    Args:
        content: an ONNX model with one input.
        opset: the version of the standard operators that its nodes shall have.
        takes: the value that it takes for its input.
        prefix: what all its other names begin with from now on.

    Raises:
        ExportError: an operator is not ONNX's own.
    """
    graph = _standard(onnx.load_from_string(content), opset).graph
    made = [name for node in graph.node for name in node.output]
    names = {name: prefix + name for name in [*made, *(one.name for one in graph.initializer)]}
    names[graph.input[0].name] = takes
    _rename(graph.node, names)
    for index, node in enumerate(graph.node):
        node.name = f"{prefix}{index}"
    for value in (*graph.initializer, *graph.output):
        value.name = names[value.name]
    return graph


def _standard(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """`model` with the operators of `opset` alone, and no functions of its own."""
    model = onnx.inliner.inline_local_functions(model)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    other = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if other:
        raise ExportError(
            "network: operators must be ONNX's own inside another graph, got the domain "
            f"{min(other)!r}; leave the stage on the host"
        )
    if versions.get("", opset) != opset:
        model = version_converter.convert_version(model, opset)
    return model


def _rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Other names for what `nodes` take and give, inside of branches and loops, too."""
    # NOTE: not onnx.compose.add_prefix, which leaves what a branch takes from outside as it was.
    for node in nodes:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
        for attribute in node.attribute:
            _rename(attribute.g.node, names)
