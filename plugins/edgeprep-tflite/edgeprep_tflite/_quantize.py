"""From float to smaller TFLite files, with ai-edge-quantizer."""

import re
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_quantizer import calibrator, qtyping  # type: ignore[import-untyped]
from ai_edge_quantizer.algorithm_manager import AlgorithmName  # type: ignore[import-untyped]
from ai_edge_quantizer.quantizer import Quantizer  # type: ignore[import-untyped]
from ai_edge_quantizer.recipe_manager import RecipeManager  # type: ignore[import-untyped]
from ai_edge_quantizer.utils import progress_utils, qsv_utils, tfl_flatbuffer_utils  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep_tflite._layers import list_float_operators, list_operators
from edgeprep_tflite._outputs import point_outputs

__all__ = ["cast_weights", "quantize"]

# By the name of a tensor: its "min" and "max".
Ranges = dict[str, dict[str, NDArray[np.float32]]]

_Operation = qtyping.TFLOperationName
_SIGNATURE = "serving_default"


def cast_weights(content: bytes) -> bytes:
    """The file with the network's weights in float16; all computation stays in float32."""
    recipe = RecipeManager()
    recipe.add_weight_only_config(
        ".*", _Operation.ALL_SUPPORTED, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    _leave_float(recipe, content)
    return _apply(recipe, content, None)


def quantize(content: bytes, source: Source) -> bytes:
    """The file with 8-bit weights (per channel, symmetric) and activations (per tensor).

    The input stays uint8 and the outputs float32; the preprocessing is not touched. Ranges are
    from the least to the greatest value that occurs in the calibration samples.

    Args:
        content: a float file of `source`, whose tensors are named by module paths.
        source: gives the samples, and the layers to be kept in float.

    Raises:
        ExportError: there are no samples, or nothing that can be quantized.
    """
    samples = source.calibration
    if not len(samples):
        raise ExportError("exporter 'tflite': int8 needs calibration samples, got 0")
    ranges = _calibrate(content, [{source.input.name: sample[np.newaxis]} for sample in samples])
    layers = [
        path
        for path, module in source.deployed.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]
    recipe = RecipeManager()
    recipe.add_static_config(
        ".*", _Operation.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    _leave_float(recipe, content, source.keep_float, layers, _without_bounds(ranges))
    quantized = _apply(recipe, content, ranges)
    if not any(
        tensor.type == schema.TensorType.INT8
        for graph in tfl_flatbuffer_utils.read_model(quantized).subgraphs
        for tensor in graph.tensors
    ):
        raise ExportError(
            "exporter 'tflite': int8 needs at least one operator that can be quantized, "
            f"got none besides {source.keep_float!r}, which stay in float"
        )
    return quantized


def _calibrate(content: bytes, samples: list[dict[str, NDArray[np.uint8]]]) -> Ranges:
    """The least and greatest value of every tensor over `samples`."""
    # The quantizer's own `calibrate` takes a moving average, in which the last samples weigh most.
    counter = calibrator.Calibrator(
        content,
        num_threads=1,
        # Counts in C++, where the default mode copies every tensor of every sample into Python:
        # the same ranges in a quarter of the time.
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    with _without_bars():
        counter.calibrate({_SIGNATURE: samples}, RecipeManager())
    ranges: Ranges = counter.get_model_qsvs()
    # A max-pool has its picture padded with minus infinity, which 8 bits hold as the least value
    # that they have.
    for operator, graph in list_operators(tfl_flatbuffer_utils.read_model(content), "PADV2"):
        padded, before = (
            tfl_flatbuffer_utils.get_tensor_name(graph.tensors[index])
            for index in (operator.outputs[0], operator.inputs[0])
        )
        if np.isneginf(ranges[padded]["min"]):
            ranges[padded] = ranges[before]
    return ranges


def _without_bounds(ranges: Ranges) -> frozenset[str]:
    return frozenset(
        name for name, ends in ranges.items() if not np.isfinite([*ends.values()]).all()
    )


def _leave_float(
    recipe: RecipeManager,
    content: bytes,
    keep_float: Collection[str] = (),
    layers: Collection[str] = (),
    tensors: Collection[str] = (),
) -> None:
    scopes = [
        f"^{re.escape(tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors))}$"
        for operator, graph in list_float_operators(
            tfl_flatbuffer_utils.read_model(content), keep_float, layers, tensors
        )
    ]
    for scope in scopes:
        recipe.add_quantization_config(
            scope, _Operation.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    for end in (_Operation.INPUT, _Operation.OUTPUT):
        recipe.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _apply(recipe: RecipeManager, content: bytes, ranges: Ranges | None) -> bytes:
    quantizer = Quantizer(content, recipe.get_quantization_recipe())
    with _without_bars():
        result = quantizer.quantize(ranges, enable_progress_report=False)
    point_outputs(result.quantized_model, tfl_flatbuffer_utils.read_model(content))
    return bytes(result.quantized_model)


def _without_bars() -> AbstractContextManager[object]:
    # Not every function that draws a progress bar can be told not to.
    def silent(*arguments: Any, **options: Any) -> Any:
        return drawn(*arguments, **options | {"enable": False})

    drawn = progress_utils.ProgressBar
    return mock.patch.object(progress_utils, "ProgressBar", silent)
