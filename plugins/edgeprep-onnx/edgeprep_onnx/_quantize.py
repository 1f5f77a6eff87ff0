"""From a float network to int8: QDQ by ONNX Runtime's quantizer, calibrated by the source.

The quantizer's classes are used, not `quantize_static` around them, which would leave temporary
files outside the scratch directory and calibrate again at every call.
"""

import ast
import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
    create_calibrator,
)
from onnxruntime.quantization.quant_utils import (  # type: ignore[import-untyped]
    load_model_with_shape_infer,
)
from onnxruntime.quantization.registry import (  # type: ignore[import-untyped]
    QDQRegistry,
    QLinearOpsRegistry,
)

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep.tensors import TensorSpec

__all__ = ["kept_values", "quantize"]

# Where torch.onnx notes the modules that a node came from: "['', 'head', 'head.2', 'linear']".
SCOPES = "pkg.torch.onnx.name_scopes"

OP_TYPES = sorted({*QDQRegistry, *QLinearOpsRegistry})

# ONNX Runtime computes int8 products with a float32 result for Gemm and MatMul, not for these:
# without the pair behind them they run in float.
NEEDS_QUANTIZED_OUTPUT = ("Conv", "ConvTranspose")


def quantize(network: ModelProto, source: Source, kept: frozenset[str]) -> ModelProto:
    """`network` with weights in int8 per channel, and activations in uint8 by their range.

    Args:
        network: float32; its one input is `source.network_input`.
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
        ranges = _ranges(path, source)
        quantizer = QDQQuantizer(
            load_model_with_shape_infer(path),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=excluded,
            op_types_to_quantize=OP_TYPES,
            extra_options={},
        )
        quantizer.quantize_model()
    quantized: ModelProto = quantizer.model.model
    _free_outputs(quantized.graph)
    if not any(node.op_type == "DequantizeLinear" for node in quantized.graph.node):
        raise ExportError(
            "exporter 'onnx': int8 needs an operator that can be quantized, got only "
            f"{sorted({node.op_type for node in network.graph.node})!r}, "
            f"{len(excluded)} of {len(network.graph.node)} kept in float"
        )
    return quantized


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
            path in _modules(node)
            or any(name in weights and name.startswith(f"{path}.") for name in node.input)
            for path in kept
        )
        for value in node.output
    )


def _modules(node: NodeProto) -> list[str]:
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


def _ranges(path: Path, source: Source) -> TensorsData:
    """The least and greatest value of each activation over the calibration samples.

    They do not depend on what is kept in float, so a search for that calibrates once.
    """
    samples = source.calibration_preprocessed
    if not len(samples):
        raise ExportError("exporter 'onnx': int8 needs calibration samples, got 0")
    if not np.isfinite(samples).all():
        raise ExportError("exporter 'onnx': int8 needs finite calibration samples, got nan or inf")
    digest = hashlib.sha256(path.read_bytes())
    digest.update(np.ascontiguousarray(samples).data)
    stored = source.scratch / f"onnx-ranges-{digest.hexdigest()[:32]}.json"
    if stored.exists():
        ranges = json.loads(stored.read_text())
    else:
        ranges = _calibrate(path, _Samples(samples, source.network_input))
        _check_finite(ranges)
        stored.write_text(json.dumps(ranges))
    return TensorsData(
        CalibrationMethod.MinMax,
        {
            name: (np.array([low], np.float32), np.array([high], np.float32))
            for name, (low, high) in ranges.items()
        },
    )


def _calibrate(path: Path, samples: "_Samples") -> dict[str, tuple[float, float]]:
    calibrator = create_calibrator(
        path,
        OP_TYPES,
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=CalibrationMethod.MinMax,
    )
    calibrator.collect_data(samples)
    ranges = calibrator.compute_data()
    return {
        value: (float(np.min(ranges[value].lowest)), float(np.max(ranges[value].highest)))
        for value in sorted(ranges)
    }


def _check_finite(ranges: Mapping[str, tuple[float, float]]) -> None:
    for value, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ExportError(
                f"exporter 'onnx': int8 needs finite values of {value!r} over the calibration "
                f"samples, got {low} to {high}"
            )


class _Samples:
    """The samples one by one, in the form of onnxruntime's `CalibrationDataReader`."""

    def __init__(self, samples: NDArray[np.float32], taken: TensorSpec) -> None:
        batch = taken.shape[0]
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = (
            {taken.name: samples[first : first + batch]} for first in range(0, len(samples), batch)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


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
