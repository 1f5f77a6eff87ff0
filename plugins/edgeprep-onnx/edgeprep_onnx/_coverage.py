"""How the ranges in a quantized network fit what occurs in the float one."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, numpy_helper

from edgeprep.interfaces import Feeds, RangeCoverage, Source
from edgeprep.ranges import measure_coverage
from edgeprep_onnx._export import read_network
from edgeprep_onnx._quantize import modules_of, quantize
from edgeprep_onnx._ranges import calibration_histograms, count

__all__ = ["coverage"]

# What the quantizer calls an output of the network before it is quantized.
_OUTPUT = "_QuantizeLinear_Input"
_STEPS = 255


def coverage(source: Source, evaluation: Feeds | None) -> tuple[RangeCoverage, ...]:
    """One for each activation of `source` that is quantized at int8, in the order of the graph.

    Raises:
        ExportError: the network cannot be quantized.
    """
    network, kept = read_network(source)
    ranges = dict(_ranges(quantize(network, source, kept)))
    modules = {
        value: (modules_of(node) or [""])[-1].removeprefix("network").removeprefix(".")
        for node in network.graph.node
        for value in node.output
    }
    with TemporaryDirectory(dir=source.scratch) as scratch:
        path = Path(scratch) / "network.onnx"
        onnx.save(network, path)
        seen = calibration_histograms(path, source)
        others = {} if evaluation is None else count(path, _feeds(source, evaluation))
    return tuple(
        measure_coverage(name, modules.get(name, ""), ranges[name], seen[name], others.get(name))
        for name in _in_order(network.graph)
        if name in ranges
    )


def _ranges(quantized: ModelProto) -> Iterator[tuple[str, tuple[float, float]]]:
    constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (
                float(numpy_helper.to_array(constants[name]).item()) for name in node.input[1:3]
            )
            ends = (-zero_point * scale, (_STEPS - zero_point) * scale)
            yield node.input[0].removesuffix(_OUTPUT), ends


def _in_order(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    for node in graph.node:
        yield from node.output


def _feeds(source: Source, samples: Feeds) -> Iterator[dict[str, NDArray[np.float32]]]:
    preprocessing = onnxruntime.InferenceSession(
        source.preprocessing_onnx, providers=["CPUExecutionProvider"]
    )
    names = [spec.name for spec in source.network_inputs]
    for picture, *states in samples:
        (prepared,) = preprocessing.run(None, {source.input.name: picture})
        yield dict(zip(names, (prepared, *states), strict=True))
