"""How the ranges in a quantized file fit what occurs in the float one."""

import re

from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_quantizer.utils import tfl_flatbuffer_utils  # type: ignore[import-untyped]

from edgeprep.interfaces import Feeds, RangeCoverage, Source
from edgeprep.ranges import measure_coverage
from edgeprep_tflite._layers import list_operators
from edgeprep_tflite._ranges import Converted, count, histograms_of

__all__ = ["measure_ranges"]

_STEPS = {
    schema.TensorType.INT8: (-(2**7), 2**7 - 1),
    schema.TensorType.INT16: (-(2**15), 2**15 - 1),
}


def measure_ranges(
    converted: Converted, quantized: bytes, source: Source, evaluation: Feeds | None
) -> tuple[RangeCoverage, ...]:
    """One for each tensor of the float file that is an integer in the other."""
    seen = histograms_of(converted, source)
    others = {} if evaluation is None else count(converted.content, evaluation)
    after = tfl_flatbuffer_utils.read_model(quantized)
    before = tfl_flatbuffer_utils.read_model(converted.content)
    (graph,) = after.subgraphs
    # An integer tensor under its own number, or one that an operator makes of the float one.
    made = {op.inputs[0]: op.outputs[0] for op, _ in list_operators(after, "QUANTIZE")}
    found = []
    for index, tensor in enumerate(before.subgraphs[0].tensors):
        name = tensor.name.decode()
        integer = graph.tensors[index]
        if integer.type not in _STEPS:
            integer = graph.tensors[made[index]] if index in made else integer
        if name not in seen or integer.type not in _STEPS or not seen[name].is_finite:
            continue
        first, last = _STEPS[integer.type]
        scale, zero = float(integer.quantization.scale[0]), int(integer.quantization.zeroPoint[0])
        found.append(
            measure_coverage(
                name,
                _module(name),
                ((first - zero) * scale, (last - zero) * scale),
                seen[name],
                others.get(name),
                levels=last - first + 1,
            )
        )
    return tuple(found)


def _module(name: str) -> str:
    """The module that a tensor was named for first: of several that were fused, the last one."""
    path = re.match(r"network\.([^;]+);", name)
    return path[1] if path else ""
