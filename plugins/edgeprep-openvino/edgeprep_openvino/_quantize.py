"""INT8 by NNCF. Importing this module imports nncf, which takes seconds."""

from unittest import mock

import openvino as ov  # type: ignore[import-untyped]

from edgeprep.interfaces import Source
from edgeprep_openvino._convert import Converted
from edgeprep_openvino._modules import operations_of
from edgeprep_openvino._nncf import (
    OverflowFix,
    RangeEstimatorParametersSet,
    nncf,
    pipeline,
    quiet,
)
from edgeprep_openvino._statistics import statistics_of

__all__ = ["quantize"]


def quantize(network: ov.Model, source: Source, converted: Converted) -> ov.Model:
    """`network` with INT8 weights and activations, but for the modules of `source.keep_float`.

    Weights are symmetric per output channel. Activations are asymmetric ("mixed"), which spends all
    256 levels on the one-sided outputs of hard-swish and leaky activations too.

    Weights have 7 bits, in every layer and not the first alone, unless `weight_range` is "full": on
    x86 without VNNI, OpenVINO's sums of two products saturate at 16 bits, without an error, and
    nothing makes it add exactly: weights of one sign a channel came to 0.061 of the output where
    they were off by 0.0012 with VNNI, and with 7 bits by 0.0011 on either. Depthwise convolutions
    add up no such pairs and keep 8.

    Args:
        network: the network alone, in float; it may be changed in its place.
        source: where the calibration samples come from.
        converted: tells how the operations of `network` are named.

    Raises:
        ExportError: there are no samples, nncf fails, or a module to keep in float is not found.
    """
    statistics = statistics_of(source, converted)
    kept = operations_of(source.keep_float, converted.network, source, converted.road)
    is_full = source.quantization.weight_range == "full"
    with (
        quiet("quantize the network"),
        mock.patch.object(pipeline, "collect_statistics", statistics.collect),
    ):
        return nncf.quantize(
            network,
            nncf.Dataset(statistics.samples, list),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(statistics.samples),
            ignored_scope=nncf.IgnoredScope(names=list(kept)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.DISABLE if is_full else OverflowFix.ENABLE,
                # The least and the greatest of all samples, where nncf would take their means.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
