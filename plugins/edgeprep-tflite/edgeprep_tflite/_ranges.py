"""What the tensors of a float file are on the calibration samples, and the ranges chosen by it.

Both are kept as long as the file: neither depends on what is kept in float, and histograms not on
the calibrator.
"""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from ai_edge_quantizer import calibrator  # type: ignore[import-untyped]
from ai_edge_quantizer.recipe_manager import RecipeManager  # type: ignore[import-untyped]
from ai_edge_quantizer.utils import progress_utils, qsv_utils, tfl_flatbuffer_utils  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeprep.errors import ExportError
from edgeprep.interfaces import Precision, Source
from edgeprep.ranges import Histogram, choose_range
from edgeprep_tflite._layers import list_operators

__all__ = ["Converted", "Ranges", "activation_ranges", "count", "histograms_of", "without_bars"]

# By the name of a tensor: its "min" and "max".
Ranges = dict[str, dict[str, NDArray[np.float32]]]

_SIGNATURE = "serving_default"
_LEVELS: dict[Precision, int] = {"int8": 2**8, "int8-int16": 2**16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A float file, and what was measured on it, by the digest of the samples."""

    content: bytes
    extremes: dict[str, Ranges] = field(default_factory=dict)
    histograms: dict[str, dict[str, Histogram]] = field(default_factory=dict)


def activation_ranges(converted: Converted, source: Source, precision: Precision) -> Ranges:
    """The ranges of all tensors, as `source.quantization` says.

    Raises:
        ExportError: there are no samples.
    """
    if not len(source.calibration):
        raise ExportError(f"exporter 'tflite': {precision} needs calibration samples, got 0")
    key = _digest(source)
    if key not in converted.extremes:
        converted.extremes[key] = _extremes(converted.content, source)
    extremes = converted.extremes[key]
    chosen = dict(extremes)
    if source.quantization.calibrator != "min-max":
        for name, histogram in histograms_of(converted, source).items():
            if name in extremes and histogram.is_finite:
                low, high = choose_range(histogram, source.quantization, levels=_LEVELS[precision])
                shape = extremes[name]["min"].shape
                chosen[name] = {
                    "min": np.full(shape, low, np.float32),
                    "max": np.full(shape, high, np.float32),
                }
    _take_over_padding(chosen, converted.content)
    return chosen


def histograms_of(converted: Converted, source: Source) -> dict[str, Histogram]:
    """How often values of each tensor of the network occur on the calibration samples."""
    key = _digest(source)
    if key not in converted.histograms:
        converted.histograms[key] = count(converted.content, source.graph_feeds())
    return converted.histograms[key]


def count(content: bytes, feeds: Iterable[tuple[NDArray[Any], ...]]) -> dict[str, Histogram]:
    """How often values of each tensor of the network occur for `feeds`, all inputs each."""
    # NOTE: a delegate would keep what is between its operators to itself.
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    taken = [details["index"] for details in interpreter.get_input_details()]
    file = tfl_flatbuffer_utils.read_model(content)
    (graph,) = file.subgraphs
    computed = {index for operator in graph.operators for index in operator.outputs}
    observed = {
        details["index"]: Histogram()
        for details in interpreter.get_tensor_details()
        if details["index"] in computed and details["dtype"] is np.float32
    }
    for feed in feeds:
        for index, array in zip(taken, feed, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        for index, histogram in observed.items():
            histogram.add(interpreter.get_tensor(index))
    names = {index: graph.tensors[index].name.decode() for index in observed}
    return {names[index]: histogram for index, histogram in observed.items()}


def without_bars() -> AbstractContextManager[object]:
    """While it lasts, the quantizer draws no progress bars."""

    # Not every function that draws a progress bar can be told not to.
    def silent(*arguments: Any, **options: Any) -> Any:
        return drawn(*arguments, **options | {"enable": False})

    drawn = progress_utils.ProgressBar
    return mock.patch.object(progress_utils, "ProgressBar", silent)


def _digest(source: Source) -> str:
    digest = hashlib.sha256()
    for samples in (source.calibration, *source.calibration_states):
        digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


def _extremes(content: bytes, source: Source) -> Ranges:
    """The least and greatest value of every tensor over the calibration samples."""
    # The quantizer's own `calibrate` takes a moving average, in which the last samples weigh most.
    counter = calibrator.Calibrator(
        content,
        num_threads=1,
        # Counts in C++, where the default mode copies every tensor of every sample into Python:
        # the same ranges in a quarter of the time.
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    names = [spec.name for spec in source.inputs]
    samples = [dict(zip(names, feed, strict=True)) for feed in source.graph_feeds()]
    with without_bars():
        counter.calibrate({_SIGNATURE: samples}, RecipeManager())
    ranges: Ranges = counter.get_model_qsvs()
    # Numbers, not arrays of one: what constants are joined to gives them its range, for which the
    # quantizer adds an axis for each of theirs to those that there are.
    return {
        name: {end: np.reshape(value, ()) for end, value in ends.items()}
        for name, ends in ranges.items()
    }


def _take_over_padding(ranges: Ranges, content: bytes) -> None:
    """Give what is padded with minus infinity the range of what was padded, in place.

    A max-pool has its picture padded so; 8 bits hold it as the least value that they have.
    """
    for operator, graph in list_operators(tfl_flatbuffer_utils.read_model(content), "PADV2"):
        padded, before = (
            tfl_flatbuffer_utils.get_tensor_name(graph.tensors[index])
            for index in (operator.outputs[0], operator.inputs[0])
        )
        if np.isneginf(ranges[padded]["min"]):
            ranges[padded] = ranges[before]
