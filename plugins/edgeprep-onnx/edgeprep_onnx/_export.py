"""The exporter: convert the network to its precision, then put the preprocessing in front."""

from collections.abc import Iterable

import onnx
from onnx import ModelProto, ValueInfoProto, checker, helper, inliner, version_converter
from onnxruntime.transformers.float16 import (  # type: ignore[import-untyped]
    convert_float_to_float16,
)

from edgeprep.errors import ExportError
from edgeprep.interfaces import Model, Precision, Source
from edgeprep_onnx._batch import free_batch
from edgeprep_onnx._graph import join, sort_nodes, tidy
from edgeprep_onnx._marks import FIXED_BATCH, REDUCIBLE, WEIGHT_RANGE
from edgeprep_onnx._quantize import kept_values, quantize, quantize_dynamic
from edgeprep_onnx._weights import store_weights

__all__ = ["export", "read_network"]


def export(source: Source, precision: Precision, *, opset: int) -> Model:
    """The model as `model.onnx`, `source.inputs` to `source.outputs`.

    Raises:
        ExportError: the network cannot be written at this precision.
    """
    step = "reading the network"
    try:
        network, kept = read_network(source)
        preprocessing = onnx.load_from_string(source.preprocessing_onnx)
        step = f"conversion to opset {opset}"
        network, preprocessing = _at_opset(network, opset), _at_opset(preprocessing, opset)
        step = f"conversion to {precision}"
        network = _at_precision(network, precision, source, kept)
        step = "merging the preprocessing"
        sort_nodes(network.graph)
        model = join(preprocessing, network)
        tidy(model, producer="edgeprep-onnx")
        step = "leaving the number of pictures open"
        if reason := _one_at_a_time(source, precision) or free_batch(model):
            model.metadata_props.add(key=FIXED_BATCH, value=reason)
        # NOTE: the last, where the backend looks for it.
        if precision in REDUCIBLE and source.quantization.weight_range == "reduced":
            model.metadata_props.add(key=WEIGHT_RANGE, value="reduced")
        step = "checking the result"
        checker.check_model(model, full_check=True)
    except ExportError:
        raise
    except Exception as error:  # the libraries raise errors of every kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ExportError(f"exporter 'onnx': {step} must succeed, got {reason!r}") from error
    _check_tensors(model, source)
    return Model(format="onnx", files={"model.onnx": model.SerializeToString(deterministic=True)})


def _one_at_a_time(source: Source, precision: Precision) -> str | None:
    """Why a call takes one picture, whatever the graph could do; None: it may take several."""
    if source.states:
        return "the network remembers"
    if precision == "int8-dynamic":
        return "ranges of the moment would be those of all pictures together"
    return "a call takes several pictures as it is" if source.input.shape[0] > 1 else None


def read_network(source: Source) -> tuple[ModelProto, frozenset[str]]:
    """The network of `source` without local functions, and the values to be kept in float."""
    network = inliner.inline_local_functions(onnx.load_from_string(source.network_onnx))
    return network, kept_values(network, source.keep_float)


def _at_precision(
    network: ModelProto, precision: Precision, source: Source, kept: frozenset[str]
) -> ModelProto:
    match precision:
        case "int8":
            return quantize(network, source, kept)
        case "int8-dynamic":
            return quantize_dynamic(network, source, kept)
        case "int8-weight-only":
            return store_weights(network, kept)
        case "fp16":
            converted: ModelProto = convert_float_to_float16(network, keep_io_types=True)
            return converted
        case _:
            return network


def _at_opset(model: ModelProto, opset: int) -> ModelProto:
    # NOTE: the converter drops the scopes of the nodes, so it is not called for nothing.
    if any(entry.domain == "" and entry.version == opset for entry in model.opset_import):
        return model
    return version_converter.convert_version(model, opset)


def _check_tensors(model: ModelProto, source: Source) -> None:
    for kind, found, wanted in (
        ("inputs", model.graph.input, source.inputs),
        ("outputs", model.graph.output, source.outputs),
    ):
        signature = _signature(found)
        expected = [(spec.name, spec.dtype, spec.shape) for spec in wanted]
        if signature != expected:
            raise ExportError(
                f"exporter 'onnx': {kind} of the graph must be {expected!r}, got {signature!r}"
            )


def _signature(values: Iterable[ValueInfoProto]) -> list[tuple[str, str, tuple[int, ...]]]:
    return [
        (
            value.name,
            helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            # Of an open number of pictures, one is what the source has.
            tuple(axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim),
        )
        for value in values
    ]
