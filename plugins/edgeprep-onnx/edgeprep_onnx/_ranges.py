"""What activations of a float network are on the calibration samples, and the ranges chosen by it.

Neither depends on what is kept in float, and histograms not on the calibrator: they are kept in the
scratch directory, so that a search for layers to keep goes through the samples once.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationMethod,
    create_calibrator,
)
from onnxruntime.quantization.registry import (  # type: ignore[import-untyped]
    QDQRegistry,
    QLinearOpsRegistry,
)

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep.ranges import Histogram, choose_range, load_histograms, save_histograms

__all__ = ["OP_TYPES", "activation_ranges", "calibration_histograms", "count"]

OP_TYPES = sorted({*QDQRegistry, *QLinearOpsRegistry})

Feeds = Iterable[dict[str, NDArray[np.float32]]]


def activation_ranges(path: Path, source: Source) -> dict[str, tuple[float, float]]:
    """The range of each activation, by its name, as `source.quantization` says.

    Args:
        path: the float network; files may be written beside it.
        source: gives the samples and the policy.

    Raises:
        ExportError: there are no samples, or something is not finite.
    """
    _check_samples(source)
    policy = source.quantization
    digest = _digest(path, source)
    # Of a policy, these alone make a difference.
    kind = policy.calibrator + (
        f"-{policy.percentile}" if policy.calibrator == "percentile" else ""
    )
    stored = source.scratch / f"onnx-ranges-{digest}-{kind}.json"
    if stored.exists():
        return {name: (low, high) for name, (low, high) in json.loads(stored.read_text()).items()}
    if policy.calibrator == "min-max":
        ranges = _extremes(path, _feeds(source))
    else:
        histograms = calibration_histograms(path, source)
        _check_finite({name: (one.low, one.high) for name, one in histograms.items()})
        ranges = {name: choose_range(one, policy) for name, one in histograms.items()}
    _check_finite(ranges)
    stored.write_text(json.dumps(ranges))
    return ranges


def calibration_histograms(path: Path, source: Source) -> dict[str, Histogram]:
    """How often values of each activation occur on the calibration samples of `source`."""
    stored = source.scratch / f"onnx-histograms-{_digest(path, source)}.npz"
    if not stored.exists():
        save_histograms(count(path, _feeds(source)), stored)
    return load_histograms(stored)


def count(path: Path, feeds: Feeds) -> dict[str, Histogram]:
    """How often values of each activation of the network at `path` occur for `feeds`."""
    names, infos = _calibrator(path).select_tensors_to_calibrate(onnx.load(path))
    augmented = onnx.load(path)
    given = {value.name for value in (*augmented.graph.output, *augmented.graph.input)}
    augmented.graph.output.extend(infos[name] for name in sorted(names - given))
    session = onnxruntime.InferenceSession(
        augmented.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inner = sorted(names - {value.name for value in augmented.graph.input})
    histograms = {name: Histogram() for name in sorted(names)}
    for feed in feeds:
        outputs = dict(zip(inner, session.run(inner, feed), strict=True))
        for name, values in (feed | outputs).items():
            if name in histograms:
                histograms[name].add(values)
    return histograms


def _check_samples(source: Source) -> None:
    samples = source.calibration_preprocessed
    if not len(samples):
        raise ExportError("exporter 'onnx': int8 needs calibration samples, got 0")
    if not np.isfinite(samples).all():
        raise ExportError("exporter 'onnx': int8 needs finite calibration samples, got nan or inf")


def _check_finite(ranges: Mapping[str, tuple[float, float]]) -> None:
    for value, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ExportError(
                f"exporter 'onnx': int8 needs finite values of {value!r} over the calibration "
                f"samples, got {low} to {high}"
            )


def _digest(path: Path, source: Source) -> str:
    digest = hashlib.sha256(path.read_bytes())
    for samples in (source.calibration_preprocessed, *source.calibration_states):
        digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()[:32]


def _feeds(source: Source) -> Iterator[dict[str, NDArray[np.float32]]]:
    names = [spec.name for spec in source.network_inputs]
    for feed in source.network_feeds():
        yield dict(zip(names, feed, strict=True))


def _extremes(path: Path, feeds: Feeds) -> dict[str, tuple[float, float]]:
    """Only the least and the greatest, found by the graph itself: in half the time."""
    calibrator = _calibrator(path)
    calibrator.collect_data(_Samples(feeds))
    ranges = calibrator.compute_data()
    return {
        value: (float(np.min(ranges[value].lowest)), float(np.max(ranges[value].highest)))
        for value in sorted(ranges)
    }


def _calibrator(path: Path) -> "onnxruntime.quantization.CalibraterBase":
    return create_calibrator(
        path,
        OP_TYPES,
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=CalibrationMethod.MinMax,
    )


class _Samples:
    """The samples one by one, in the form of onnxruntime's `CalibrationDataReader`."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)
