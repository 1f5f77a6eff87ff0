"""Changes of shape that say how many pictures there are, which torch has seen one of."""

from math import prod

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeprep_tflite._layers import list_operators

__all__ = ["free_pictures"]


def free_pictures(content: bytes) -> bytes:
    """`content` with the first axis of every change of shape left to follow from the others.

    For one picture it is what it was. An interpreter whose input is resized to several finds room
    for them where they lie in the first axis, as they mostly do; elsewhere it refuses, or numbers
    are wrong, which golden samples say.
    """
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    known: dict[tuple[int, tuple[int, ...]], int] = {}
    for operator, graph in list_operators(file, "RESHAPE"):
        taken, given = (graph.tensors[ends[0]] for ends in (operator.inputs, operator.outputs))
        sizes = () if given.shape is None else tuple(map(int, given.shape))
        fixed = file.buffers[taken.buffer].data is not None
        if fixed or len(operator.inputs) < 2 or not sizes or not prod(sizes):
            continue
        shape = (-1, *sizes[1:])
        key = file.subgraphs.index(graph), shape
        if key not in known:
            known[key] = _add_constant(file, graph, shape)
        operator.inputs = [operator.inputs[0], known[key]]
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = np.array(shape, np.int32)
    if not known:
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _add_constant(file: schema.ModelT, graph: schema.SubGraphT, shape: tuple[int, ...]) -> int:
    """The index of a new tensor in `graph` that holds `shape`."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.array(shape, np.int32).tobytes(), np.uint8)
    file.buffers.append(buffer)
    tensor = schema.TensorT()
    tensor.name = f"edgeprep/shape.{len(graph.tensors)}".encode()
    tensor.type = schema.TensorType.INT32
    tensor.shape = np.array([len(shape)], np.int32)
    tensor.buffer = len(file.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
