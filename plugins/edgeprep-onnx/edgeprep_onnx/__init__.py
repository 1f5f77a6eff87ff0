"""ONNX for edgeprep: an exporter to ONNX, and ONNX Runtime as a backend.

Importing this module is cheap; the libraries are imported when a class is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import (
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
from edgeprep_onnx._telemetry import silence_telemetry

__all__ = ["OnnxExporter", "OnnxRuntimeBackend", "edgeprep_backends", "edgeprep_exporters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxExporter(Exporter):
    """Writes ONNX: float32, float16, or int8 in three ways, with weights per channel.

    "int8" is QDQ by ranges of the calibration samples, "int8-dynamic" takes the inputs of layers by
    ranges of the moment, "int8-weight-only" stores weights in int8 and computes in float. ONNX
    Runtime has no kernels on the CPU for bfloat16, nor for activations in 16 bits, which it would
    compute in float behind a rounding each: slower than float, and no integers.

    The preprocessing is merged in front after quantization, so that it is float32 at every
    precision. The same source gives the same bytes.

    Attributes:
        opset: the version of the standard operators. 20 is what ONNX Runtime 1.17 and later run.
    """

    name: ClassVar[str] = "onnx"
    precisions: ClassVar[tuple[Precision, ...]] = (
        "fp32",
        "fp16",
        "int8",
        "int8-dynamic",
        "int8-weight-only",
    )
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "ml_dtypes")
    install: ClassVar[str] = "edgeprep-onnx[convert]"

    opset: Annotated[int, Meta(ge=18, le=23)] = 20

    def export(self, source: Source, precision: Precision) -> Model:
        """The model as `model.onnx`, `source.input` to `source.outputs`.

        Raises:
            ExportError: the network cannot be written at this precision; the message says why.
        """
        silence_telemetry()
        from edgeprep_onnx import _export

        return _export.export(source, precision, opset=self.opset)

    def coverage(
        self, source: Source, precision: Precision, evaluation: Feeds | None = None
    ) -> tuple[RangeCoverage, ...]:
        """See `Exporter.coverage`; of int8 alone."""
        if precision != "int8":
            return ()
        silence_telemetry()
        from edgeprep_onnx._coverage import coverage

        return coverage(source, evaluation)


class OnnxRuntimeBackend(Backend):
    """Runs ONNX with ONNX Runtime, on the CPU and on the accelerators that its build reaches.

    Candidates differ in `threads`, the number of threads that share one call. Any number of calls
    at once share one session; several pictures a call need a graph that leaves their number open.
    """

    name: ClassVar[str] = "onnxruntime"
    formats: ClassVar[tuple[str, ...]] = ("onnx",)
    requires: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    install: ClassVar[str] = "edgeprep-onnx[runtime]"
    widths: ClassVar[tuple[Width, ...]] = ("batch", "calls")

    def __init__(self) -> None:
        silence_telemetry()
        from edgeprep_onnx import _engine

        self._engine = _engine

    def devices(self) -> tuple[Device, ...]:
        """The CPU, one device for each provider of this build, and those that plugins found."""
        return self._engine.devices()

    def absent(self) -> tuple[Absent, ...]:
        """The accelerators that no build or plugin here reaches."""
        return self._engine.absent()

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        """Numbers of threads worth measuring on the CPU; elsewhere one thread feeds the device."""
        return self._engine.options(device)

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """A session on exactly that device; never on another one instead.

        Raises:
            BackendError: the model, the device or the options cannot be used.
        """
        return self._engine.load(model, device, options)

    def compiled_for(self, device: Device) -> str | None:
        """See `Backend.compiled_for`; nothing on the CPU."""
        return self._engine.compiled_for(device)

    def load_compiled(
        self, compiled: bytes, model: Model, device: Device, options: Options
    ) -> Runner:
        """See `Backend.load_compiled`: a model of EP contexts.

        Raises:
            BackendError: the provider refuses them, or the device or the options cannot be used.
        """
        return self._engine.load_compiled(compiled, model, device, options)

    def versions(self) -> Mapping[str, str]:
        """The version of ONNX Runtime, how it was built, and its execution providers."""
        return self._engine.versions()


@hookimpl
def edgeprep_exporters() -> list[type[Exporter]]:
    """The exporters of this plugin."""
    return [OnnxExporter]


@hookimpl
def edgeprep_backends() -> list[type[Backend]]:
    """The backends of this plugin."""
    return [OnnxRuntimeBackend]
