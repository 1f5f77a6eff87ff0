"""The outputs of a quantized file."""

import struct

from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeprep_tflite._layers import list_operators

__all__ = ["point_outputs"]

# In a `TensorMap`, the entry of its table of fields that says where `tensor_index` is.
_TENSOR_INDEX = 6


def point_outputs(quantized: bytearray, source: schema.ModelT) -> None:
    """Let the graph and the signature of `quantized` end at float tensors, in place.

    ai-edge-quantizer loses track of an output that a layer reads too: the graph then gives the
    integers that the layer reads, or the signature names a tensor that is no output.

    Args:
        quantized: what the quantizer made of `source`. Its tensors are those of `source`, under
            the same numbers, and after them what the quantizer added.
        source: the float file.

    Raises:
        KeyError: nothing turns an output back to float.
    """
    file = schema.ModelT.InitFromPackedBuf(quantized, 0)
    back = {op.inputs[0]: op.outputs[0] for op, _ in list_operators(file, "DEQUANTIZE")}
    before, after = source.subgraphs[0], file.subgraphs[0]
    ends = {
        index: index if after.tensors[index].type == before.tensors[index].type else back[index]
        for index in before.outputs
    }
    packed = schema.Model.GetRootAs(quantized)
    packed.Subgraphs(0).OutputsAsNumpy()[:] = [ends[index] for index in before.outputs]
    named = {output.name: output.tensorIndex for output in source.signatureDefs[0].outputs}
    signature = packed.SignatureDefs(0)
    for position in range(signature.OutputsLength()):
        output = signature.Outputs(position)
        place = output._tab.Pos + output._tab.Offset(_TENSOR_INDEX)
        struct.pack_into("<I", quantized, place, ends[named[output.Name()]])
