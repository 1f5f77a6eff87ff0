"""Plain bilinear resizes of uint8 pictures done in uint8: a quarter of the numbers to move."""

from collections import Counter

import flatbuffers  # type: ignore[import-untyped]
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeprep_tflite._layers import list_operators

__all__ = ["resize_levels"]


_KEEPS_ORDER = {
    getattr(schema.BuiltinOperator, name)
    for name in ("ADD", "GATHER", "MUL", "RESHAPE", "REVERSE_V2", "SUB", "TRANSPOSE")
}


def resize_levels(content: bytes) -> bytes:
    """`content` with plain bilinear resizes before the cast to float32 that they now follow.

    It rounds to whole levels, as OpenCV does on a host, which int8 networks do to what they take
    anyway. Floats are held to the source more closely than that: not for them; nor where a filter
    comes between, which could make more of it.

    Source: within 0.55 levels of the resize in float32 (tests/test_tflite_resize.py).
    """
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    casts = {operator.outputs[0]: operator for operator, _ in list_operators(file, "CAST")}
    changed = False
    # NOTE: a list, because operators change places.
    for resize, graph in list(list_operators(file, "RESIZE_BILINEAR")):
        cast = casts.get(resize.inputs[0])
        if cast is not None and _can_swap(cast, resize, graph) and _is_last(resize, graph, file):
            _swap(cast, resize, graph)
            changed = True
    if not changed:
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _can_swap(cast: schema.OperatorT, resize: schema.OperatorT, graph: schema.SubGraphT) -> bool:
    readers = Counter(index for operator in graph.operators for index in operator.inputs)
    return (
        graph.tensors[cast.inputs[0]].type == schema.TensorType.UINT8
        and readers[cast.outputs[0]] == 1
        and cast.outputs[0] not in graph.outputs
        and resize.builtinOptions.halfPixelCenters
        and not resize.builtinOptions.alignCorners
    )


def _is_last(resize: schema.OperatorT, graph: schema.SubGraphT, file: schema.ModelT) -> bool:
    """Whether numbers are but scaled, shifted and put in order from `resize` to the network."""
    value = resize.outputs[0]
    while True:
        readers = [operator for operator in graph.operators if value in operator.inputs]
        if len(readers) != 1:
            return False
        kind = file.operatorCodes[readers[0].opcodeIndex].builtinCode
        others = [index for index in readers[0].inputs if index not in (value, -1)]
        fixed = all(file.buffers[graph.tensors[index].buffer].data is not None for index in others)
        if kind == schema.BuiltinOperator.QUANTIZE:
            return True
        if kind not in _KEEPS_ORDER or not fixed:
            return False
        value = readers[0].outputs[0]


def _swap(cast: schema.OperatorT, resize: schema.OperatorT, graph: schema.SubGraphT) -> None:
    picture, between, resized = cast.inputs[0], cast.outputs[0], resize.outputs[0]
    small = graph.tensors[between]
    small.type, small.shape = schema.TensorType.UINT8, graph.tensors[resized].shape
    for index in (picture, between):
        # XNNPACK, without which it is no quicker, takes no integers without a scale.
        scale = schema.QuantizationParametersT()
        scale.scale, scale.zeroPoint = [1.0], [0]
        graph.tensors[index].quantization = scale
    resize.inputs = [picture, *resize.inputs[1:]]
    resize.outputs, cast.inputs, cast.outputs = [between], [between], [resized]
    first, second = (graph.operators.index(operator) for operator in (cast, resize))
    graph.operators[first], graph.operators[second] = resize, cast
