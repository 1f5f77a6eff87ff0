"""From float to smaller TFLite files, with ai-edge-quantizer."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_quantizer import qtyping  # type: ignore[import-untyped]
from ai_edge_quantizer.algorithm_manager import AlgorithmName  # type: ignore[import-untyped]
from ai_edge_quantizer.algorithms.uniform_quantize import (  # type: ignore[import-untyped]
    uniform_quantize_tensor,
)
from ai_edge_quantizer.quantizer import Quantizer  # type: ignore[import-untyped]
from ai_edge_quantizer.recipe_manager import RecipeManager  # type: ignore[import-untyped]
from ai_edge_quantizer.utils import tfl_flatbuffer_utils  # type: ignore[import-untyped]

from edgeprep.errors import ExportError
from edgeprep.interfaces import Precision, Source
from edgeprep_tflite._layers import list_float_operators
from edgeprep_tflite._outputs import point_outputs
from edgeprep_tflite._ranges import Ranges, without_bars

__all__ = ["cast_weights", "quantize"]

_Operation = qtyping.TFLOperationName


def cast_weights(content: bytes) -> bytes:
    """The file with the network's weights in float16; all computation stays in float32."""
    recipe = RecipeManager()
    recipe.add_weight_only_config(
        ".*", _Operation.ALL_SUPPORTED, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    _leave_float(recipe, content)
    return _apply(recipe, content, None)


def quantize(content: bytes, source: Source, ranges: Ranges, precision: Precision) -> bytes:
    """The file with 8-bit weights, symmetric and per channel; activations as `precision` says.

    "int8": activations in 8 bits per tensor. "int8-int16": in 16 bits, symmetric. "int8-dynamic":
    the inputs of layers in 8 bits, by ranges of the moment. "int8-weight-only": in float, from
    weights that are made float again.

    The input stays uint8 and the outputs float32; the preprocessing is not touched. LiteRT's
    kernels add products up in 32 bits, on x86 without VNNI too: there is no need of 7 bits, which
    weights have where `weight_range` is "reduced".

    Args:
        content: a float file of `source`, whose tensors are named by module paths.
        source: gives the policy, and the layers to be kept in float.
        ranges: of the activations, where the precision takes them from samples; else of none.
        precision: one of those that begin with "int8".

    Raises:
        ExportError: there is nothing that can be quantized.
    """
    recipe = RecipeManager()
    add = _CONFIGURATIONS[precision]
    add(recipe)
    layers = [
        path
        for path, module in source.deployed.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]
    _leave_float(recipe, content, source.keep_float, layers, _without_bounds(ranges))
    multiplies = precision != "int8-weight-only"
    with _reduced(multiplies and source.quantization.weight_range == "reduced"):
        quantized = _apply(recipe, content, ranges or None)
    if not any(
        tensor.type == schema.TensorType.INT8
        for graph in tfl_flatbuffer_utils.read_model(quantized).subgraphs
        for tensor in graph.tensors
    ):
        raise ExportError(
            f"exporter 'tflite': {precision} needs at least one operator that can be quantized, "
            f"got none besides {source.keep_float!r}, which stay in float"
        )
    return quantized


_CONFIGURATIONS: Mapping[Precision, Callable[[RecipeManager], None]] = {
    "int8": lambda recipe: recipe.add_static_config(
        ".*", _Operation.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    ),
    "int8-int16": lambda recipe: recipe.add_static_config(
        ".*", _Operation.ALL_SUPPORTED, activation_num_bits=16, weight_num_bits=8
    ),
    "int8-dynamic": lambda recipe: recipe.add_dynamic_config(
        ".*", _Operation.ALL_SUPPORTED, num_bits=8
    ),
    "int8-weight-only": lambda recipe: recipe.add_weight_only_config(
        ".*", _Operation.ALL_SUPPORTED, num_bits=8
    ),
}


@contextmanager
def _reduced(is_reduced: bool) -> Iterator[None]:
    """While it lasts, weights get 63 steps to a side, not 127.

    The quantizer has no widths between 4 and 8 bits: it is given twice the range.
    """
    if not is_reduced:
        yield
        return

    def wider(low: Any, high: Any, bits: int, symmetric: bool, *others: Any, **more: Any) -> Any:
        # Activations of 8 bits are not symmetric, and symmetric ones have 16 bits.
        factor = 127 / 63 if symmetric and bits == 8 else 1
        return measured(factor * low, factor * high, bits, symmetric, *others, **more)

    measured = uniform_quantize_tensor.tensor_zp_scale_from_min_max
    with mock.patch.object(uniform_quantize_tensor, "tensor_zp_scale_from_min_max", wider):
        yield


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
    with without_bars():
        result = quantizer.quantize(ranges, enable_progress_report=False)
    point_outputs(result.quantized_model, tfl_flatbuffer_utils.read_model(content))
    return bytes(result.quantized_model)
