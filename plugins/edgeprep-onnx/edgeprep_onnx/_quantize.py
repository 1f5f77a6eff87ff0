"""From a float network to int8: by ONNX Runtime's quantizers, calibrated by the source.

The quantizers' classes are used, not the functions around them, which would leave temporary files
outside the scratch directory and calibrate again at every call.
"""

import ast
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
)
from onnxruntime.quantization.onnx_quantizer import (  # type: ignore[import-untyped]
    ONNXQuantizer,
    QuantizationMode,
)
from onnxruntime.quantization.quant_utils import (  # type: ignore[import-untyped]
    load_model_with_shape_infer,
)

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep_onnx._ranges import OP_TYPES, activation_ranges

__all__ = ["kept_values", "modules_of", "quantize", "quantize_dynamic"]

# Where torch.onnx notes the modules that a node came from: "['', 'head', 'head.2', 'linear']".
SCOPES = "pkg.torch.onnx.name_scopes"

# ONNX Runtime computes int8 products with a float32 result for Gemm and MatMul, not for these:
# without the pair behind them they run in float.
NEEDS_QUANTIZED_OUTPUT = ("Conv", "ConvTranspose")

# Those that ONNX Runtime has integer kernels for whose inputs are quantized in passing. The
# quantizer splits a Gemm into a MatMul and an Add.
DYNAMIC_OP_TYPES = ["Conv", "MatMul"]


def quantize(network: ModelProto, source: Source, kept: frozenset[str]) -> ModelProto:
    """`network` with weights in int8 per channel, and activations in uint8 by their range.

    On x86 without VNNI, ONNX Runtime's quick products of uint8 and int8 saturate, unless weights
    are reduced to 7 bits; the backend then asks for the slow exact ones. So full weights are right
    everywhere, and reduced ones quick everywhere.

    Args:
        network: float32; its inputs are `source.network_inputs`.
        source: gives the calibration samples and a place for temporary files.
        kept: names of values; the nodes that compute them stay in float.

    Raises:
        ExportError: there are no calibration samples, or nothing in the network to quantize.
    """
    _name_nodes(network.graph)
    excluded = [node.name for node in network.graph.node if not kept.isdisjoint(node.output)]
    with TemporaryDirectory(dir=source.scratch) as scratch, _quiet_logging():
        path = Path(scratch) / "network.onnx"
        onnx.save(network, path)
        ranges = activation_ranges(path, source)
        quantizer = QDQQuantizer(
            load_model_with_shape_infer(path),
            per_channel=True,
            reduce_range=_is_reduced(source),
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(
                CalibrationMethod.MinMax,
                {
                    name: (np.array([low], np.float32), np.array([high], np.float32))
                    for name, (low, high) in ranges.items()
                },
            ),
            nodes_to_quantize=[],
            nodes_to_exclude=excluded,
            op_types_to_quantize=OP_TYPES,
            extra_options={},
        )
        quantizer.quantize_model()
    quantized: ModelProto = quantizer.model.model
    _free_outputs(quantized.graph)
    _check_quantized(quantized, {"DequantizeLinear"}, network, len(excluded), "int8")
    return quantized


def quantize_dynamic(network: ModelProto, source: Source, kept: frozenset[str]) -> ModelProto:
    """`network` with weights in uint8 per channel, and inputs of layers by their own range.

    Only inputs of layers become integers, and are floats again behind them. With uint8 weights
    nothing saturates on x86, with or without VNNI, and convolutions take a quarter of the time that
    they take with int8: 30 ms instead of 121 for MobileNetV2, whose float takes 8. A transformer is
    quicker than in float.

    Args:
        network: float32.
        source: gives a place for temporary files.
        kept: names of values; the nodes that compute them stay in float.

    Raises:
        ExportError: there is nothing in the network to quantize.
    """
    _name_nodes(network.graph)
    excluded = [node.name for node in network.graph.node if not kept.isdisjoint(node.output)]
    with TemporaryDirectory(dir=source.scratch) as scratch, _quiet_logging():
        path = Path(scratch) / "network.onnx"
        # NOTE: the quantizer turns weights of a Gemm around and leaves their old shapes behind.
        plain = ModelProto()
        plain.CopyFrom(network)
        del plain.graph.value_info[:]
        onnx.save(plain, path)
        quantizer = ONNXQuantizer(
            load_model_with_shape_infer(path),
            per_channel=True,
            reduce_range=_is_reduced(source),
            mode=QuantizationMode.IntegerOps,
            static=False,
            weight_qType=QuantType.QUInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=None,
            nodes_to_quantize=[],
            nodes_to_exclude=[*excluded, *(f"{name}_MatMul" for name in excluded)],
            op_types_to_quantize=DYNAMIC_OP_TYPES,
            extra_options={"MatMulConstBOnly": True},
        )
        quantizer.quantize_model()
    quantized: ModelProto = quantizer.model.model
    integer = {"ConvInteger", "MatMulInteger"}
    _check_quantized(quantized, integer, network, len(excluded), "int8-dynamic")
    return quantized


def _is_reduced(source: Source) -> bool:
    return source.quantization.weight_range == "reduced"


def _check_quantized(
    quantized: ModelProto, marks: set[str], network: ModelProto, kept: int, precision: str
) -> None:
    if marks.isdisjoint(node.op_type for node in quantized.graph.node):
        raise ExportError(
            f"exporter 'onnx': {precision} needs an operator that can be quantized, got only "
            f"{sorted({node.op_type for node in network.graph.node})!r}, "
            f"{kept} of {len(network.graph.node)} kept in float"
        )


def kept_values(network: ModelProto, keep_float: Iterable[str]) -> frozenset[str]:
    """The names of what the nodes of the modules `keep_float`, and of those inside, compute.

    A node belongs to the modules in its scope, and to the module whose weights it reads: torch.onnx
    folds a batch-norm into the convolution before it and leaves the batch-norm's scope.
    """
    kept = tuple(keep_float)
    weights = {initializer.name for initializer in network.graph.initializer}
    return frozenset(
        value
        for node in network.graph.node
        if any(
            path in modules_of(node)
            or any(name in weights and name.startswith(f"{path}.") for name in node.input)
            for path in kept
        )
        for value in node.output
    )


def modules_of(node: NodeProto) -> list[str]:
    """The modules that `node` is inside of, the innermost last."""
    scopes = [entry.value for entry in node.metadata_props if entry.key == SCOPES]
    # NOTE: the last entry names the node itself.
    return ast.literal_eval(scopes[0])[:-1] if scopes else []


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """Leave the root logger as it is, with nothing on stderr that nobody asked for.

    The quantizer warns through the root logger about every norm whose weight it scales as a whole,
    which gives a root logger without handlers one that prints.
    """
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _name_nodes(graph: GraphProto) -> None:
    """Give each node a name of its own: the quantizer excludes by name."""
    for index, node in enumerate(graph.node):
        node.name = f"{index}/{node.name or node.op_type}"


def _free_outputs(graph: GraphProto) -> None:
    """Take the last quantization away from the outputs, where the engine need not have it.

    256 steps for a logit, a score or a box can lose more than the rest of the network does.
    """
    producers = {value: node for node in graph.node for value in node.output}
    readers = Counter(value for node in graph.node for value in node.input)
    for output in graph.output:
        dequantize = producers.get(output.name)
        if dequantize is None or dequantize.op_type != "DequantizeLinear" or readers[output.name]:
            continue
        quantize = producers.get(dequantize.input[0])
        if quantize is None or readers[dequantize.input[0]] > 1 or readers[quantize.input[0]] > 1:
            continue
        last = producers.get(quantize.input[0])
        if last is None or last.op_type in NEEDS_QUANTIZED_OUTPUT:
            continue
        last.output[list(last.output).index(quantize.input[0])] = output.name
        graph.node.remove(quantize)
        graph.node.remove(dequantize)
    _drop_unread(graph)


def _drop_unread(graph: GraphProto) -> None:
    read = {value for node in graph.node for value in node.input}
    for initializer in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(initializer)
