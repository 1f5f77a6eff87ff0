"""How the ranges in a quantized network fit what occurs in the float one."""

from collections.abc import Iterator

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
import torch

from edgeprep.interfaces import Feeds, RangeCoverage, Source
from edgeprep.ranges import measure_coverage
from edgeprep_openvino._convert import ROADS, convert
from edgeprep_openvino._modules import owners_of
from edgeprep_openvino._quantize import quantize
from edgeprep_openvino._signals import kept_signal_stack
from edgeprep_openvino._statistics import Feed, Value, count, statistics_of

__all__ = ["coverage"]


@kept_signal_stack()
def coverage(source: Source, evaluation: Feeds | None) -> tuple[RangeCoverage, ...]:
    """One for each activation of `source` that is quantized at int8, in the order of the graph.

    Raises:
        ExportError: the network cannot be quantized.
    """
    converted = convert(source, ROADS)
    quantized = quantize(converted.network.clone(), source, converted)
    ranges = dict(_ranges(quantized))
    owners = owners_of(converted.network, source, converted.road)
    seen = statistics_of(source, converted).histograms(ranges)
    others = (
        {}
        if evaluation is None
        else count(converted.network, ranges, _prepared(source, evaluation))
    )
    return tuple(
        measure_coverage(
            value[0],
            owners.get(value[0], "").removeprefix("network").removeprefix("."),
            ranges[value],
            seen[value],
            others.get(value),
        )
        for value in _in_order(converted.network)
        if value in ranges
    )


def _ranges(quantized: ov.Model) -> Iterator[tuple[Value, tuple[float, float]]]:
    # Weights are integers by now: all that is left are activations.
    for node in quantized.get_ops():
        if node.get_type_name() == "FakeQuantize":
            value = node.input_value(0)
            low, high = (node.input_value(index).get_node().data for index in (1, 2))
            # Of all channels, where each has its own.
            ends = (float(np.min(low)), float(np.max(high)))
            yield (value.get_node().friendly_name, value.get_index()), ends


def _in_order(network: ov.Model) -> Iterator[Value]:
    for node in network.get_ordered_ops():
        for index in range(node.get_output_size()):
            yield node.friendly_name, index


def _prepared(source: Source, samples: Feeds) -> Iterator[Feed]:
    preprocessing = source.deployed.get_submodule("preprocessing")
    for picture, *states in samples:
        with torch.inference_mode():
            prepared = preprocessing(torch.from_numpy(picture.copy())).numpy()
        yield prepared, *states
