"""The OpenVINO backend itself. Importing this module imports openvino."""

import os
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import (
    Device,
    DeviceKind,
    Model,
    Options,
    Precision,
    Runner,
    WeightRange,
)
from edgeprep.processor import sums_saturate
from edgeprep.tensors import DType, TensorSpec
from edgeprep_openvino._batch import set_batch
from edgeprep_openvino._memory import give_back
from edgeprep_openvino._reason import reason
from edgeprep_openvino._signals import kept_signal_stack
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced.
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

__all__ = ["Engine"]

WHERE = "backend 'openvino'"

_KINDS: dict[str, DeviceKind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}
# What a device calls its arithmetic, and what a hint calls it; the most exact first.
_PRECISIONS = {"FP32": "f32", "FP16": "f16", "BF16": "bf16"}
_DTYPES: dict[str, DType] = {
    "u8": "uint8",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "f32": "float32",
}

# Measured: copying so much costs as long as making a shared tensor, about 6 µs.
_COPIED_BYTES = 256 * 1024


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

    def options(self, device: Device) -> tuple[Options, ...]:
        """Every arithmetic that `device` has, on the CPU with one thread, half and all of them.

        OpenVINO's own default is the fastest arithmetic, whatever it does to the numbers, so that
        each candidate names its own.
        """
        capabilities = self._capabilities(device.name)
        precisions = [hint for name, hint in _PRECISIONS.items() if name in capabilities] or ["f32"]
        if device.kind != "cpu":
            return tuple({"precision": precision} for precision in precisions)
        cores = _cores()
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

    def load(self, model: Model, device: Device, options: Options) -> "CompiledRunner":
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

    def versions(self) -> Mapping[str, str]:
        """The release of OpenVINO, and of each device its name and capabilities."""
        return {"openvino": ov.__version__} | {
            device.name.lower(): " ".join(
                (f"{device.description}:", *sorted(self._capabilities(device.name)))
            )
            for device in self.devices()
        }

    def _describe(self, device: str) -> str:
        try:
            return str(self._core.get_property(device, "FULL_DEVICE_NAME"))
        except RuntimeError as error:
            return f"does not answer: {reason(error)}"

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


class CompiledRunner(Runner):
    """A compiled model with a pool of requests.

    NOTE: calling one `CompiledModel` from several threads gives wrong answers without an error,
    because it keeps one hidden request. Here each request is in one thread's hands at a time.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled: ov.CompiledModel | None = compiled
        self._inputs = tuple(_spec(port) for port in compiled.inputs)
        self._outputs = tuple(_spec(port) for port in compiled.outputs)
        # Appending to and popping from a deque are atomic: no lock is needed.
        self._idle: deque[_Request] = deque([_Request(compiled)])

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.inputs`."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.outputs`."""
        return self._outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """See `Runner.run`."""
        compiled = self._compiled
        if compiled is None:
            raise ClosedError(f"{WHERE}: a runner must be open to run, got one that was closed")
        if len(inputs) != len(self._inputs):
            raise BackendError(f"{WHERE}: inputs must be {len(self._inputs)}, got {len(inputs)}")
        try:
            request = self._take(compiled)
            outputs = request.run(inputs)
        except RuntimeError as error:
            raise BackendError(f"{WHERE}: must run the model, got {reason(error)!r}") from error
        if self._compiled is not None:
            self._idle.append(request)
        return outputs

    def _take(self, compiled: ov.CompiledModel) -> "_Request":
        try:
            return self._idle.pop()
        except IndexError:
            return _Request(compiled)

    def close(self) -> None:
        """See `Runner.close`."""
        self._compiled = None
        self._idle.clear()


class _Request:
    """One inference request, with its own input memory."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._slots = tuple(
            self._request.get_input_tensor(index).data for index in range(len(compiled.inputs))
        )

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        for index, (slot, array) in enumerate(zip(self._slots, inputs, strict=True)):
            _check(index, array, slot)
            if array.nbytes <= _COPIED_BYTES:
                np.copyto(slot, array)
            else:
                # Read-only memory cannot be shared. The tensor keeps the array alive.
                tensor = ov.Tensor(array, shared_memory=array.flags.writeable)
                self._request.set_input_tensor(index, tensor)
        # By default the results are copies: no later call changes them.
        outputs: tuple[NDArray[Any], ...] = self._request.infer().to_tuple()
        return outputs


def _check(index: int, array: NDArray[Any], slot: NDArray[Any]) -> None:
    """Raise BackendError unless `array` fits `slot`.

    NOTE: the caller has checked this already. But copying would cast and broadcast, and openvino
    answers None with the result of the frame before, so that a mistake would go unnoticed.
    """
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if shape != slot.shape or dtype != slot.dtype:
        raise BackendError(
            f"{WHERE}: inputs[{index}] must be {slot.dtype} {slot.shape}, got {dtype} {shape}"
        )


def _count(options: Options, name: str) -> int:
    value = options.get(name, 1)
    if not isinstance(value, int) or value < 1:
        raise BackendError(f"{WHERE}: {name!r} must be a whole number from 1, got {value!r}")
    return value


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _family(device: str) -> str:
    """`GPU` for `GPU.1`."""
    return device.partition(".")[0]


def _spec(port: ov.ConstOutput) -> TensorSpec:
    kind = port.get_element_type().get_type_name()
    if kind not in _DTYPES:
        raise BackendError(
            f"{WHERE}: {port.get_node().friendly_name!r} must have a type among "
            f"{list(_DTYPES)!r}, got {kind!r}"
        )
    return TensorSpec(
        # The names of tensors do not tell two outputs apart that are the same tensor.
        name=port.get_node().friendly_name,
        shape=tuple(port.get_shape()),
        dtype=_DTYPES[kind],
    )
