"""Weights in 8 bits, computation in float."""

from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeprep.errors import ExportError

__all__ = ["store_weights"]

_STEPS = 127


def store_weights(network: ModelProto, kept: frozenset[str]) -> ModelProto:
    """`network` with weights of layers in int8, symmetric and per output channel.

    A DequantizeLinear makes each float32 again while the model runs: nothing else changes, and no
    activation is rounded. No integers are multiplied, so that 7 bits would gain nothing.

    Args:
        network: float32; it is changed in its place.
        kept: names of values; the weights that their nodes read stay as they are.

    Raises:
        ExportError: there is no weight to store so.
    """
    graph = network.graph
    spared = {
        name for node in graph.node if not kept.isdisjoint(node.output) for name in node.input
    }
    axes = {name: axis for name, axis in _weights(graph) if name not in spared}
    if not axes:
        excluded = sum(not kept.isdisjoint(node.output) for node in graph.node)
        raise ExportError(
            "exporter 'onnx': int8-weight-only needs a layer with weights, got only "
            f"{sorted({node.op_type for node in graph.node})!r}, "
            f"{excluded} of {len(graph.node)} kept in float"
        )
    for tensor in [one for one in graph.initializer if one.name in axes]:
        graph.node.append(_dequantize(graph, tensor, axes[tensor.name]))
        graph.initializer.remove(tensor)
    return network


def _weights(graph: GraphProto) -> Iterator[tuple[str, int]]:
    """The float matrices that layers read, each with its axis of output channels."""
    dims = {
        tensor.name: len(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1
    }
    for node in graph.node:
        match node.op_type:
            case "Conv":
                axis = 0
            case "ConvTranspose":
                axis = 1
            case "Gemm":
                axis = 0 if _is_turned(node) else 1
            case "MatMul":
                axis = dims.get(node.input[1], 1) - 1
            case _:
                continue
        if node.input[1] in dims:
            yield node.input[1], axis


def _is_turned(gemm: NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in gemm.attribute)


def _dequantize(graph: GraphProto, tensor: TensorProto, axis: int) -> NodeProto:
    """Put int8 values and scales into `graph`; the node gives them under the name of `tensor`."""
    values = numpy_helper.to_array(tensor)
    others = tuple(other for other in range(values.ndim) if other != axis)
    largest = np.abs(values).max(axis=others)
    scales = np.where(largest > 0, largest / _STEPS, 1).astype(np.float32)
    steps = np.rint(values / np.expand_dims(scales, others)).astype(np.int8)
    names = [f"{tensor.name}_quantized", f"{tensor.name}_scale"]
    graph.initializer.append(numpy_helper.from_array(steps, names[0]))
    graph.initializer.append(numpy_helper.from_array(scales, names[1]))
    return helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis)
