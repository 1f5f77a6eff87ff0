"""TFLite for edgeprep: the exporter `tflite` and the backend `litert`.

This module is imported whenever plugins are listed, so it is light: what needs torch is in
`_export`, what needs an engine in `_engine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeprep import hookimpl
from edgeprep.interfaces import (
    CALIBRATED,
    Absent,
    Backend,
    Device,
    Exporter,
    Feeds,
    Model,
    Options,
    Precision,
    RangeCoverage,
    Runner,
    Source,
    Width,
)

__all__ = ["LiteRTBackend", "TFLiteExporter", "edgeprep_backends", "edgeprep_exporters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TFLiteExporter(Exporter):
    """Writes `model.tflite`, from torch, with litert-torch and ai-edge-quantizer.

    `fp16` stores weights in half precision and computes in float32. `int8` is static: weights per
    channel, activations per tensor, preprocessing and `source.keep_float` in float32; a plain
    bilinear resize of the camera's uint8 is done in uint8, half a level off at most. `int8-int16`
    is the same with activations in 16 bits, symmetric. `int8-dynamic` takes the inputs of layers by
    ranges of the moment; `int8-weight-only` stores weights in int8 and computes in float32.
    """

    name: ClassVar[str] = "tflite"
    precisions: ClassVar[tuple[Precision, ...]] = (
        "fp32",
        "fp16",
        "int8",
        "int8-int16",
        "int8-dynamic",
        "int8-weight-only",
    )
    requires: ClassVar[tuple[str, ...]] = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert")
    install: ClassVar[str] = "edgeprep-tflite[convert]"

    def export(self, source: Source, precision: Precision) -> Model:
        """See `Exporter.export`. While it runs, what is printed to stdout goes to stderr."""
        from edgeprep_tflite import _export

        return _export.export(source, precision)

    def coverage(
        self, source: Source, precision: Precision, evaluation: Feeds | None = None
    ) -> tuple[RangeCoverage, ...]:
        """See `Exporter.coverage`."""
        if precision not in CALIBRATED:
            return ()
        from edgeprep_tflite import _export

        return _export.coverage(source, precision, evaluation)


class LiteRTBackend(Backend):
    """Runs TFLite files: LiteRT, or tflite-runtime where that is what is installed.

    On the CPU; with LiteRT on the GPU and the NPU, if it has all operators of a model; and by the
    delegates that the variable EDGEPREP_LITERT_DELEGATES names, such as that of an Edge TPU.
    """

    name: ClassVar[str] = "litert"
    formats: ClassVar[tuple[str, ...]] = ("tflite",)
    requires: ClassVar[tuple[str, ...]] = ("ai_edge_litert or tflite_runtime",)
    install: ClassVar[str] = "edgeprep-tflite[runtime]"
    widths: ClassVar[tuple[Width, ...]] = ("batch", "calls")

    def __init__(self) -> None:
        from edgeprep_tflite import _engine

        self._engine = _engine

    def devices(self) -> tuple[Device, ...]:
        """See `Backend.devices`."""
        return self._engine.devices()

    def absent(self) -> tuple[Absent, ...]:
        """See `Backend.absent`."""
        return self._engine.absent()

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        """See `Backend.options`: numbers of `threads`, on which the results do not depend."""
        return self._engine.options(device, precision)

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """See `Backend.load`."""
        return self._engine.load(model, device, options)

    def versions(self) -> Mapping[str, str]:
        """See `Backend.versions`: the one library that runs."""
        return self._engine.versions()


@hookimpl
def edgeprep_exporters() -> list[type[Exporter]]:
    """The exporter of this plugin."""
    return [TFLiteExporter]


@hookimpl
def edgeprep_backends() -> list[type[Backend]]:
    """The backend of this plugin."""
    return [LiteRTBackend]
