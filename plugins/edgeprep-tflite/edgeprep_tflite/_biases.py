"""Biases of a float file as vectors, which is what quantizers and kernels take them for."""

from collections import Counter

import flatbuffers  # type: ignore[import-untyped]
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeprep_tflite._layers import list_operators

__all__ = ["flatten_biases"]

# By kind, which of the inputs is the bias.
_PLACES = {
    "CONV_2D": 2,
    "CONV_3D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2,
    "TRANSPOSE_CONV": 3,
}


def flatten_biases(content: bytes) -> bytes:
    """`content` with biases of shape `(n,)` where the converter has left `(1, …, 1, n)`.

    It joins a product with a vector, such as a layer scale, to the layer before, and gives the bias
    the vector's shape. Floats do not mind; scales for each of n outputs beside a first axis of 1
    are a file that LiteRT refuses to load.
    """
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    changed = False
    for graph in file.subgraphs:
        readers = Counter(index for operator in graph.operators for index in operator.inputs)
        for index, count in _biases(file, graph).items():
            bias = graph.tensors[index]
            # Who reads it as something else may need its axes.
            is_alone = readers[index] == count
            if is_alone and len(bias.shape) > 1 and all(edge == 1 for edge in bias.shape[:-1]):
                bias.shape, bias.shapeSignature = bias.shape[-1:], None
                changed = True
    if not changed:
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _biases(file: schema.ModelT, graph: schema.SubGraphT) -> Counter[int]:
    """The tensors that are biases in `graph`, and of how many operators."""
    return Counter(
        int(operator.inputs[place])
        for kind, place in _PLACES.items()
        for operator, owner in list_operators(file, kind)
        if owner is graph and len(operator.inputs) > place and operator.inputs[place] >= 0
    )
