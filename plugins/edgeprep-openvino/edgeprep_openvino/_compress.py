"""Weights in INT8 by NNCF. Importing this module imports nncf, which takes seconds."""

import openvino as ov  # type: ignore[import-untyped]

from edgeprep.errors import ExportError
from edgeprep.interfaces import Precision, Source
from edgeprep_openvino._convert import Converted
from edgeprep_openvino._modules import operations_of
from edgeprep_openvino._nncf import nncf, quiet

__all__ = ["compress"]

# What of a network can be computed by ranges of the moment: OpenVINO has that for no convolution.
_DYNAMIC = ("MatMul",)


def compress(
    network: ov.Model, source: Source, converted: Converted, precision: Precision
) -> ov.Model:
    """`network` with weights in int8, symmetric and per output channel, but for `keep_float`.

    Args:
        network: in float; it may be changed in its place.
        source: where it comes from.
        converted: tells how its operations are named.
        precision: "int8-weight-only" or "int8-dynamic".

    Raises:
        ExportError: nncf fails, there is nothing to compress, or a module to keep in float is not
            found.
    """
    kept = operations_of(source.keep_float, converted.network, source, converted.road)
    with quiet("compress the weights"):
        compressed = nncf.compress_weights(
            network,
            mode=nncf.CompressWeightsMode.INT8_SYM,
            ignored_scope=nncf.IgnoredScope(names=list(kept), validate=False),
        )
    readers = {
        reader.get_node().get_type_name()
        for node in compressed.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.i8
        for reader in _readers(node)
    }
    wanted = _DYNAMIC if precision == "int8-dynamic" else tuple(readers)
    if readers.isdisjoint(wanted) or not readers:
        layer = "a matrix product" if precision == "int8-dynamic" else "a layer"
        raise ExportError(
            f"exporter 'openvino': {precision} needs {layer} with weights, got weights in int8 "
            f"for {sorted(readers)!r} alone, {len(kept)} operations kept in float"
        )
    return compressed


def _readers(node: ov.Node) -> list[ov.Input]:
    """What reads int8 weights, behind what makes them float again."""
    found = []
    waiting = [node]
    while waiting:
        for reader in waiting.pop().output(0).get_target_inputs():
            if reader.get_node().get_type_name() in ("Convert", "Multiply", "Reshape"):
                waiting.append(reader.get_node())
            else:
                found.append(reader)
    return found
