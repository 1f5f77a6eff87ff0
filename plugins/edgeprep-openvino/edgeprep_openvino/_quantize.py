"""INT8 by NNCF. Importing this module imports nncf, which takes seconds."""

import contextlib
import io
import logging
import sys

import numpy as np
import openvino as ov  # type: ignore[import-untyped]

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep_openvino._modules import operations_of
from edgeprep_openvino._reason import reason

# nncf's logger keeps the stdout that it finds when it is imported, which is for results.
with contextlib.redirect_stdout(sys.stderr):
    import nncf  # type: ignore[import-untyped]
    from nncf.quantization.advanced_parameters import (  # type: ignore[import-untyped]
        OverflowFix,
    )

__all__ = ["quantize"]


def quantize(network: ov.Model, source: Source, road: str) -> ov.Model:
    """`network` with INT8 weights and activations, but for the modules of `source.keep_float`.

    Weights are symmetric per output channel, with 7 bits. Activations are asymmetric ("mixed"),
    which spends all 256 levels on the one-sided outputs of hard-swish and leaky activations too.

    Args:
        network: the network alone, in float.
        source: where the calibration samples come from.
        road: how `network` was converted, which tells how its operations are named.

    Raises:
        ExportError: there are no samples, nncf fails, or a module to keep in float is not found.
    """
    if not len(source.calibration_preprocessed):
        raise ExportError("exporter 'openvino': int8 needs calibration samples, got 0")
    pictures = len(source.calibration_preprocessed) // source.network_input.shape[0]
    samples = np.split(source.calibration_preprocessed, pictures)
    kept = operations_of(source.keep_float, network, source, road)
    logger = logging.getLogger("nncf")
    level = logger.level
    # `edgeprep --verbose` has its own logger at DEBUG, and shows all.
    if not logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.ERROR)
    try:
        # Its progress bars go to stdout, whatever they are told.
        with contextlib.redirect_stdout(io.StringIO()):
            return nncf.quantize(
                network,
                nncf.Dataset(samples),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(samples),
                ignored_scope=nncf.IgnoredScope(names=list(kept)),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    # Half the range of the weights, in every layer and not the first alone: on x86
                    # without VNNI, sums of two products saturate at 16 bits, without an error.
                    overflow_fix=OverflowFix.ENABLE
                ),
            )
    except Exception as error:
        raise ExportError(
            f"exporter 'openvino': nncf must quantize the network, got {reason(error)!r}"
        ) from error
    finally:
        logger.setLevel(level)
