"""Graphs joined, put in order and stripped of what no device needs."""

from collections.abc import Iterator
from graphlib import TopologicalSorter

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, compose, helper

__all__ = ["join", "sort_nodes", "tidy"]

# No name that torch gives holds a slash, so what comes from here cannot clash with the network.
PREFIX = "preprocessing/"


def join(preprocessing: ModelProto, network: ModelProto) -> ModelProto:
    """One model of two: the only output of the first is the first input of the second."""
    first = compose.add_prefix(preprocessing, PREFIX, rename_inputs=False)
    first.ir_version = network.ir_version = max(first.ir_version, network.ir_version)
    return compose.merge_models(
        first, network, io_map=[(first.graph.output[0].name, network.graph.input[0].name)]
    )


def sort_nodes(graph: GraphProto) -> None:
    """Put every node behind those whose results it reads; converters append out of order."""
    nodes = list(graph.node)
    producers = {value: index for index, node in enumerate(nodes) for value in node.output}
    order = TopologicalSorter(
        {
            index: [producers[value] for value in _reads(node) if value in producers]
            for index, node in enumerate(nodes)
        }
    ).static_order()
    # NOTE: copied before the clearing, which takes the messages away from under `nodes`.
    ordered = [_copy(nodes[index]) for index in order]
    del graph.node[:]
    graph.node.extend(ordered)


def tidy(model: ModelProto, producer: str) -> None:
    """Strip what only the exporter reads, and what differs from one machine to the next.

    torch notes the stack, with the paths of the source files, at every node. The file format is the
    oldest that can say what is left, for the sake of old readers on devices.
    """
    for graph in _graphs(model.graph):
        del graph.value_info[:]
        graph.doc_string = ""
        for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
            del part.metadata_props[:]
            part.doc_string = ""
    model.graph.name = "edgeprep"
    model.doc_string = ""
    del model.metadata_props[:]
    model.producer_name, model.producer_version = producer, ""
    domains = {"", *(node.domain for graph in _graphs(model.graph) for node in graph.node)}
    # A mapping, because joining two models leaves every domain twice.
    versions = {entry.domain: entry.version for entry in model.opset_import}
    used = [helper.make_opsetid(domain, versions[domain]) for domain in sorted(domains)]
    del model.opset_import[:]
    model.opset_import.extend(used)
    model.ir_version = helper.find_min_ir_version_for(used, ignore_unknown=True)


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for inner in _inner_graphs(node):
            yield from _graphs(inner)


def _inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def _reads(node: NodeProto) -> Iterator[str]:
    yield from node.input
    for graph in _inner_graphs(node):
        for inner in graph.node:
            yield from _reads(inner)
