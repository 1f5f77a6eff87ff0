"""The OpenVINO backend itself. Importing this module imports openvino."""

from collections.abc import Mapping

import numpy as np

from edgeprep.errors import BackendError
from edgeprep.interfaces import (
    Absent,
    Device,
    DeviceKind,
    Model,
    Options,
    Precision,
    WeightRange,
)
from edgeprep.processor import available_cpus, sums_saturate
from edgeprep_openvino._batch import set_batch
from edgeprep_openvino._memory import give_back
from edgeprep_openvino._reason import reason
from edgeprep_openvino._runner import WHERE, CompiledRunner
from edgeprep_openvino._signals import kept_signal_stack
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced.
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

__all__ = ["Engine"]

_KINDS: dict[str, DeviceKind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}
# What a device calls its arithmetic, and what a hint calls it; the most exact first.
_PRECISIONS = {"FP32": "f32", "FP16": "f16", "BF16": "bf16"}
# What of a chip, its driver and its compiler a compiled model depends on, as far as it is told.
_CHIP = {
    "DEVICE_ARCHITECTURE",
    "FULL_DEVICE_NAME",
    "GPU_DRIVER_VERSION",
    "GPU_UARCH_VERSION",
    "NPU_COMPILER_VERSION",
    "NPU_DRIVER_VERSION",
}
# Which of them each device of this process tells.
_TOLD: dict[str, tuple[str, ...]] = {}


class Engine:
    """OpenVINO on this machine."""

    def __init__(self) -> None:
        with kept_signal_stack():
            self._core = ov.Core()
            list(self._core.available_devices)  # by which its plugins are loaded

    def devices(self) -> tuple[Device, ...]:
        """The devices that OpenVINO can name, the CPU first."""
        names = [name for name in self._core.available_devices if _family(name) in _KINDS]
        return tuple(
            Device(
                name=name,
                kind=_KINDS[_family(name)],
                description=self._describe(name),
            )
            for name in sorted(names, key=lambda name: (list(_KINDS).index(_family(name)), name))
        )

    def absent(self) -> tuple[Absent, ...]:
        """The kinds of devices that OpenVINO has a plugin for and finds none of."""
        found = {_family(name) for name in self._core.available_devices}
        return tuple(
            Absent(name=family, kind=kind, reason=self._why_absent(family))
            for family, kind in _KINDS.items()
            if family not in found
        )

    def options(self, device: Device) -> tuple[Options, ...]:
        """Every arithmetic that `device` has, on the CPU with one thread, half and all of them.

        OpenVINO's own default is the fastest arithmetic, whatever it does to the numbers, so that
        each candidate names its own.
        """
        capabilities = self._capabilities(device.name)
        precisions = [hint for name, hint in _PRECISIONS.items() if name in capabilities] or ["f32"]
        if device.kind != "cpu":
            return tuple({"precision": precision} for precision in precisions)
        cores = available_cpus()
        return tuple(
            {"threads": threads, "precision": precision}
            for precision in precisions
            for threads in sorted({1, max(1, cores // 2), cores})
        )

    def refuse(self, device: Device, precision: Precision, weight_range: WeightRange) -> str | None:
        """Why sums of int8 products would be wrong on `device`.

        Without VNNI, oneDNN adds two products up in 16 bits and offers no other way. "auto" is what
        the exporter makes of it: 7 bits.
        """
        saturates = device.kind == "cpu" and precision == "int8" and weight_range == "full"
        if saturates and sums_saturate():
            return "sums of full-range int8 saturate on x86 without VNNI"
        return None

    def load(self, model: Model, device: Device, options: Options) -> CompiledRunner:
        """`model` on `device`, from its bytes."""
        settings = self._settings(device, options)
        if not {"model.xml", "model.bin"} <= model.files.keys():
            names = sorted(model.files)
            raise BackendError(
                f"{WHERE}: files must hold 'model.xml' and 'model.bin', got {names!r}"
            )
        try:
            # The tensor is a copy: openvino shares writable memory only, and bytes are not.
            weights = ov.Tensor(np.frombuffer(model.files["model.bin"], np.uint8))
            network = self._core.read_model(model=model.files["model.xml"], weights=weights)
        except RuntimeError as error:
            raise BackendError(f"{WHERE}: must load the model, got {reason(error)!r}") from error
        if (batch := _count(options, "batch")) > 1:
            network = set_batch(network, batch)
        try:
            runner = CompiledRunner(self._core.compile_model(network, device.name, settings))
        except RuntimeError as error:
            raise BackendError(
                f"{WHERE}: must load the model on device {device.name!r} with {dict(options)!r}, "
                f"got {reason(error)!r}"
            ) from error
        give_back()
        return runner

    def compiled_for(self, device: Device) -> str | None:
        """The release of OpenVINO, the chip, and the versions of its driver and compiler."""
        capabilities = self._capabilities(device.name)
        if "EXPORT_IMPORT" not in capabilities:
            return None
        facts = [ov.get_version(), device.name, *sorted(capabilities)]
        try:
            told = self._told_of(device.name)
            facts += [str(self._core.get_property(device.name, name)) for name in told]
        except RuntimeError:
            return None
        return "\n".join(facts)

    def load_compiled(self, compiled: bytes, device: Device, options: Options) -> CompiledRunner:
        """What `CompiledRunner.compiled` gave, on `device`."""
        settings = self._settings(device, options)
        try:
            runner = CompiledRunner(self._core.import_model(compiled, device.name, settings))
        except RuntimeError as error:
            raise BackendError(
                f"{WHERE}: must load its compiled model on device {device.name!r}, "
                f"got {reason(error)!r}"
            ) from error
        give_back()
        return runner

    def versions(self) -> Mapping[str, str]:
        """The release of OpenVINO, and of each device its name and capabilities."""
        return {"openvino": ov.__version__} | {
            device.name.lower(): " ".join(
                (f"{device.description}:", *sorted(self._capabilities(device.name)))
            )
            for device in self.devices()
        }

    def _told_of(self, device: str) -> tuple[str, ...]:
        """Those of `_CHIP` that `device` tells."""
        # NOTE: each time that openvino 2026.4.1 lists properties, 5 kB of their names are lost.
        if device not in _TOLD:
            known = self._core.get_property(device, "SUPPORTED_PROPERTIES")
            _TOLD[device] = tuple(sorted(_CHIP.intersection(known)))
        return _TOLD[device]

    def _describe(self, device: str) -> str:
        try:
            return str(self._core.get_property(device, "FULL_DEVICE_NAME"))
        except RuntimeError as error:
            return f"does not answer: {reason(error)}"

    def _why_absent(self, family: str) -> str:
        try:
            self._core.get_property(family, "AVAILABLE_DEVICES")
        except RuntimeError as error:
            return reason(error)
        return f"OpenVINO's plugin for the {family} finds none; install its driver"

    def _capabilities(self, device: str) -> tuple[str, ...]:
        try:
            return tuple(self._core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
        except RuntimeError:
            # A broken driver must not hide the other devices; loading on it says what is wrong.
            return ()

    def _settings(self, device: Device, options: Options) -> dict[str, object]:
        available = tuple(self._core.available_devices)
        if device.name not in available:
            raise BackendError(f"{WHERE}: device must be one of {available!r}, got {device.name!r}")
        calls = _count(options, "calls")
        # A stream computes one call at a time.
        settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": calls}
        if device.kind == "cpu":
            # Pinned threads wait where another process, or another model of this one, holds their
            # core: on a busy machine of two cores, 8.2 ms instead of 5.3 (MobileNetV2, INT8).
            settings["ENABLE_CPU_PINNING"] = False
        for name, value in options.items():
            match name:
                case "precision":
                    settings["INFERENCE_PRECISION_HINT"] = value
                case "threads" if device.kind == "cpu":
                    settings["INFERENCE_NUM_THREADS"] = _count(options, "threads") * calls
                case "batch" | "calls":
                    pass
                case _:
                    raise BackendError(
                        f"{WHERE}: options must be 'precision', 'batch', 'calls' or, on a cpu, "
                        f"'threads', got {name!r}"
                    )
        return settings


def _count(options: Options, name: str) -> int:
    value = options.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackendError(f"{WHERE}: {name!r} must be a whole number from 1, got {value!r}")
    return value


def _family(device: str) -> str:
    """`GPU` for `GPU.1`."""
    return device.partition(".")[0]
