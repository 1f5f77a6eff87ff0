"""OpenVINO for edgeprep: an exporter to its IR and a backend that runs it.

This module is light. What needs openvino lies in the heavy twins `_export`, `_quantize` and
`_engine`, which are imported when something is exported or a backend is constructed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeprep import hookimpl
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
    WeightRange,
    Width,
)

__all__ = ["OpenVINOBackend", "OpenVINOExporter", "edgeprep_backends", "edgeprep_exporters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVINOExporter(Exporter):
    """Writes OpenVINO IR: `model.xml` and `model.bin`.

    "fp16" and "bf16" store weights in half the bytes; the engine computes as its precision hint
    says. "int8" is static. "int8-dynamic" and "int8-weight-only" store weights in int8; the former
    takes the inputs of matrix products by ranges of the moment where the CPU gains by it, 32 of
    them a range, and all else is computed in float.
    """

    name: ClassVar[str] = "openvino"
    precisions: ClassVar[tuple[Precision, ...]] = (
        "fp32",
        "fp16",
        "bf16",
        "int8",
        "int8-dynamic",
        "int8-weight-only",
    )
    requires: ClassVar[tuple[str, ...]] = ("openvino", "torch", "onnx", "nncf")
    install: ClassVar[str] = "edgeprep-openvino[convert]"

    def export(self, source: Source, precision: Precision) -> Model:
        """See `Exporter.export`; from torch, or else from ONNX."""
        from edgeprep_openvino._export import export

        return export(source, precision)

    def coverage(
        self, source: Source, precision: Precision, evaluation: Feeds | None = None
    ) -> tuple[RangeCoverage, ...]:
        """See `Exporter.coverage`; of int8 alone."""
        if precision != "int8":
            return ()
        from edgeprep_openvino._coverage import coverage

        return coverage(source, evaluation)


class OpenVINOBackend(Backend):
    """Runs OpenVINO IR on the devices that OpenVINO can name, never on its `AUTO`."""

    name: ClassVar[str] = "openvino"
    formats: ClassVar[tuple[str, ...]] = ("openvino",)
    requires: ClassVar[tuple[str, ...]] = ("openvino",)
    install: ClassVar[str] = "edgeprep-openvino[runtime]"
    widths: ClassVar[tuple[Width, ...]] = ("batch", "calls")

    def __init__(self) -> None:
        from edgeprep_openvino._engine import Engine

        self._engine = Engine()

    def devices(self) -> tuple[Device, ...]:
        """See `Backend.devices`."""
        return self._engine.devices()

    def absent(self) -> tuple[Absent, ...]:
        """See `Backend.absent`: what OpenVINO's own plugins say."""
        return self._engine.absent()

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        """See `Backend.options`; the same for every `precision` of the model."""
        return self._engine.options(device)

    def refuse(self, device: Device, precision: Precision, weight_range: WeightRange) -> str | None:
        """See `Backend.refuse`: full-range int8 on an x86 processor without VNNI."""
        return self._engine.refuse(device, precision, weight_range)

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """See `Backend.load`."""
        return self._engine.load(model, device, options)

    def compiled_for(self, device: Device) -> str | None:
        """See `Backend.compiled_for`."""
        return self._engine.compiled_for(device)

    def load_compiled(
        self, compiled: bytes, model: Model, device: Device, options: Options
    ) -> Runner:
        """See `Backend.load_compiled`."""
        return self._engine.load_compiled(compiled, device, options)

    def versions(self) -> Mapping[str, str]:
        """See `Backend.versions`."""
        return self._engine.versions()


@hookimpl
def edgeprep_exporters() -> list[type[Exporter]]:
    """What this plugin writes."""
    return [OpenVINOExporter]


@hookimpl
def edgeprep_backends() -> list[type[Backend]]:
    """What this plugin runs."""
    return [OpenVINOBackend]
