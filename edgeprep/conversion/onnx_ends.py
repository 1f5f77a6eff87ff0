"""The inputs and outputs of an ONNX graph, each under its own name."""

from collections.abc import Iterator, Mapping, Sequence

from onnx import AttributeProto, GraphProto, ModelProto, helper

__all__ = ["name_ends"]


def name_ends(
    model: ModelProto, prefix: str, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Name what `model` takes and gives, in place.

    A value inside that has such a name gets another one. Where one value is two outputs, or an
    input is an output, the later one is a copy: graphs cannot name a value twice.

    Args:
        model: its inputs are called `prefix` and their number.
        prefix: see `model`.
        inputs: the names that its inputs get.
        outputs: the names that its outputs get; they may have them already.
    """
    graph = model.graph
    names = {f"{prefix}{index}": name for index, name in enumerate(inputs)}
    given = [value.name for value in graph.output]
    taken = {*inputs, *outputs}
    for value in _values(graph):
        if value in inputs or (value in taken and value not in given):
            names[value] = _free(f"{value}_inside", graph)
    _rename(graph, names)
    known = set(inputs)
    for output, wanted in zip(graph.output, outputs, strict=True):
        if output.name != wanted or wanted in known:
            graph.node.append(helper.make_node("Identity", [output.name], [wanted]))
            output.name = wanted
        known.add(wanted)


def _values(graph: GraphProto) -> set[str]:
    return {name for node in graph.node for name in node.output} | {
        tensor.name for tensor in graph.initializer
    }


def _free(name: str, graph: GraphProto) -> str:
    values = _values(graph)
    while name in values:
        name += "_"
    return name


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in _inner(node.attribute):
            _rename(inner, names)


def _inner(attributes: Sequence[AttributeProto]) -> Iterator[GraphProto]:
    for attribute in attributes:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs
