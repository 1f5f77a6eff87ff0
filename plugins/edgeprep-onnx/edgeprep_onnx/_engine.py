"""ONNX Runtime as a backend: sessions from bytes, on one named execution provider each."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, DeviceKind, Model, Options, Runner
from edgeprep.tensors import DType, TensorSpec

__all__ = ["OnnxRuntimeRunner", "devices", "load", "options", "versions"]

FILE = "model.onnx"

# Azure is left out: it sends the pictures to a server. Two names of one device are two devices
# here, since they are two libraries that differ in speed and numbers.
DEVICES: Mapping[str, tuple[str, DeviceKind]] = {
    "CPUExecutionProvider": ("cpu", "cpu"),
    "NvTensorRTRTXExecutionProvider": ("tensorrt-rtx", "gpu"),
    "TensorrtExecutionProvider": ("tensorrt", "gpu"),
    "CUDAExecutionProvider": ("cuda", "gpu"),
    "MIGraphXExecutionProvider": ("migraphx", "gpu"),
    "ROCMExecutionProvider": ("rocm", "gpu"),
    "DmlExecutionProvider": ("directml", "gpu"),
    "WebGpuExecutionProvider": ("webgpu", "gpu"),
    "CoreMLExecutionProvider": ("coreml", "npu"),
    "NnapiExecutionProvider": ("nnapi", "npu"),
    "QNNExecutionProvider": ("qnn", "npu"),
    "RknpuExecutionProvider": ("rknpu", "npu"),
    "VitisAIExecutionProvider": ("vitisai", "npu"),
    "VSINPUExecutionProvider": ("vsinpu", "npu"),
    "ACLExecutionProvider": ("acl", "cpu"),
    "ArmNNExecutionProvider": ("armnn", "cpu"),
    "DnnlExecutionProvider": ("dnnl", "cpu"),
    "OpenVINOExecutionProvider": ("openvino", "cpu"),
    "XnnpackExecutionProvider": ("xnnpack", "cpu"),
}

DTYPES: Mapping[str, DType] = {
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
}

onnxruntime.disable_telemetry_events()


class OnnxRuntimeRunner(Runner):
    """One session. ONNX Runtime lets any number of threads call it and hands out fresh arrays."""

    def __init__(self, session: onnxruntime.InferenceSession, device: Device) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._device = device
        self._inputs = tuple(_spec(node, "input") for node in session.get_inputs())
        self._outputs = tuple(_spec(node, "output") for node in session.get_outputs())
        self._input_names = tuple(spec.name for spec in self._inputs)
        self._output_names = [spec.name for spec in self._outputs]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order in which `run` takes them."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, in the order in which `run` returns them."""
        return self._outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The outputs for `inputs`; the arrays belong to the caller.

        Raises:
            ClosedError: the runner was closed.
            BackendError: ONNX Runtime refuses the inputs, or fails.
        """
        # NOTE: a local name, so that a concurrent `close` cannot pull the session away.
        session = self._session
        if session is None:
            raise ClosedError("runner: must be open, got a call after close()")
        try:
            feed = dict(zip(self._input_names, inputs, strict=True))
            return tuple(session.run(self._output_names, feed))
        except Exception as error:
            raise BackendError(
                f"backend 'onnxruntime': the run on device {self._device.name!r} failed, "
                f"got {_reason(error)!r}"
            ) from error

    def close(self) -> None:
        """Let go of the session; calls that are under way finish."""
        self._session = None


def devices() -> tuple[Device, ...]:
    """The devices of the execution providers that this build has; the CPU comes first."""
    available = onnxruntime.get_available_providers()
    return tuple(
        Device(name=name, kind=kind, description=provider)
        for provider, (name, kind) in DEVICES.items()
        if provider in available
    )


def options(device: Device) -> tuple[Options, ...]:
    """One thread, half of the cores, all cores; without doubles.

    Half is for processors whose other half is slow, and for networks that wait for memory. The
    results do not depend on the number of threads.
    """
    if device.name != "cpu":
        return ({"threads": 1},)
    cores = _physical_cores()
    return tuple({"threads": threads} for threads in sorted({1, max(1, cores // 2), cores}))


def load(model: Model, device: Device, options: Options) -> OnnxRuntimeRunner:
    """A session for the bytes of `model` on exactly `device`.

    Raises:
        BackendError: the model, the device or the options cannot be used.
    """
    if set(model.files) != {FILE}:
        raise BackendError(
            f"backend 'onnxruntime': a model must be the one file {FILE!r}, "
            f"got {sorted(model.files)!r}"
        )
    provider = _provider(device)
    settings = _settings(options)
    if provider != "CPUExecutionProvider":
        # Otherwise what the provider does not take runs on the CPU, at the price of two copies,
        # and a provider that takes nothing at all is the CPU under another name.
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(
            model.files[FILE],
            settings,
            providers=[provider],
            enable_fallback=0,  # prints to stdout and goes on with the CPU
            read_config_from_model=0,  # an environment variable may not let models set options
        )
    except Exception as error:
        raise BackendError(
            f"backend 'onnxruntime': the model does not load on device {device.name!r}, "
            f"got {_reason(error)!r}"
        ) from error
    used = session.get_providers()
    if used[0] != provider:
        raise BackendError(
            f"backend 'onnxruntime': device {device.name!r} must run the model itself, "
            f"got a session on {used!r}; see ONNX Runtime's log for why {provider} did not start"
        )
    return OnnxRuntimeRunner(session, device)


def versions() -> Mapping[str, str]:
    """The version of ONNX Runtime, how it was built, and its execution providers."""
    return {
        "onnxruntime": onnxruntime.__version__,
        "build": onnxruntime.get_build_info(),
        "providers": ", ".join(onnxruntime.get_available_providers()),
    }


def _provider(device: Device) -> str:
    available = onnxruntime.get_available_providers()
    names = {name: provider for provider, (name, _) in DEVICES.items() if provider in available}
    if device.name not in names:
        raise BackendError(
            f"backend 'onnxruntime': device must be one of {tuple(names)!r}, got {device.name!r}"
        )
    return names[device.name]


def _settings(options: Options) -> onnxruntime.SessionOptions:
    unknown = sorted(set(options) - {"threads"})
    if unknown:
        raise BackendError(
            f"backend 'onnxruntime': options must be among ('threads',), got {unknown[0]!r}"
        )
    threads = options.get("threads", 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise BackendError(
            f"backend 'onnxruntime': option 'threads' must be a whole number from 1, "
            f"got {threads!r}"
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 4  # what matters comes as an exception, and is raised by us
    for key, value in SETTINGS.items():
        settings.add_session_config_entry(key, value)
    return settings


SETTINGS: Mapping[str, str] = {
    # Waiting threads sleep. Spinning gains little on a quiet machine, costs a factor of two where
    # something else runs, and disturbs whatever is measured next.
    "session.intra_op.allow_spinning": "0",
    # Exact int8 products on x86 processors without VNNI, whose 16-bit sums saturate otherwise.
    # Without effect elsewhere.
    "session.x64quantprecision": "1",
    # The other format that ONNX Runtime recognises by its first bytes is not what was exported.
    "session.load_model_format": "ONNX",
}


def _spec(node: Any, what: str) -> TensorSpec:
    if node.type not in DTYPES or not all(isinstance(size, int) for size in node.shape):
        raise BackendError(
            f"backend 'onnxruntime': {what} {node.name!r} must be a tensor of fixed shape and "
            f"known type, got {node.type!r} of shape {tuple(node.shape)!r}"
        )
    return TensorSpec(name=node.name, shape=tuple(node.shape), dtype=DTYPES[node.type])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())


def _physical_cores() -> int:
    """The cores that this process may use, hardware threads of one core counted once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
    topology = Path("/sys/devices/system/cpu")
    siblings = set()
    for cpu in usable:
        try:
            shared = (topology / f"cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            shared = str(cpu)
        siblings.add(shared.strip())
    return len(siblings)
