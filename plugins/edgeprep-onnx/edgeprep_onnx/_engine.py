"""ONNX Runtime as a backend: sessions from bytes, on one named execution provider each."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, Model, Options, Runner
from edgeprep.processor import sums_saturate
from edgeprep.tensors import DType, TensorSpec
from edgeprep_onnx._context import compile_ahead, facts
from edgeprep_onnx._machine import Place, absent, cores, devices, place_of
from edgeprep_onnx._marks import BATCH, FIXED_BATCH, has_reduced_weights

__all__ = [
    "OnnxRuntimeRunner",
    "absent",
    "compiled_for",
    "devices",
    "load",
    "load_compiled",
    "options",
    "versions",
]

FILE = "model.onnx"
WHERE = "backend 'onnxruntime'"
_OPTIONS = ("threads", "waiting", "batch", "calls")

DTYPES: Mapping[str, DType] = {
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
}

# How the threads of a session wait for their share of the next operator. On two cores, as set
# here, spinning made calls of an int8 MobileNetV2 that nothing disturbed 1.4 to 1.7 times as fast;
# while other programs held the cores, it made the median call half as fast.
WAITING: Mapping[str, Mapping[str, str]] = {
    "sleep": {"session.intra_op.allow_spinning": "0"},
    # Between calls they sleep all the same: no battery is spent, no neighbour slowed down.
    "spin": {"session.force_spinning_stop": "1"},
}

# For builds that report by another way, as on Windows, or that the application has imported.
onnxruntime.disable_telemetry_events()


class OnnxRuntimeRunner(Runner):
    """One session. ONNX Runtime lets any number of threads call it and hands out fresh arrays."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        device: Device,
        compile_ahead: Callable[[], bytes | None],
    ) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._device = device
        self._compile_ahead = compile_ahead
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
        # NOTE: a name of its own, so that `close` in another thread cannot pull the session away.
        session = self._session
        if session is None:
            raise ClosedError(f"{WHERE}: a runner must be open to run, got one that was closed")
        try:
            feed = dict(zip(self._input_names, inputs, strict=True))
            return tuple(session.run(self._output_names, feed))
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise BackendError(
                f"{WHERE}: the run on device {self._device.name!r} must succeed, "
                f"got {_reason(error)!r}"
            ) from error

    def compiled(self) -> bytes | None:
        """See `Runner.compiled`: a model of the provider's contexts, compiled once more."""
        return self._compile_ahead()

    def close(self) -> None:
        """Let go of the session; calls that are under way finish. Again, it does nothing."""
        self._session = None


def options(device: Device) -> tuple[Options, ...]:
    """One thread, half of the cores, all cores; several threads once asleep and once spinning.

    Half is for processors whose other half is slow, and for networks that wait for memory. The
    numbers do not depend on any of it.
    """
    if device.name != "cpu":
        return ({"threads": 1},)
    ladder: list[Options] = [{"threads": 1}]
    for count in sorted({cores() // 2, cores()} - {0, 1}):
        ladder += [{"threads": count, "waiting": waiting} for waiting in WAITING]
    return tuple(ladder)


def load(model: Model, device: Device, options: Options) -> OnnxRuntimeRunner:
    """A session for the bytes of `model` on exactly `device`.

    Raises:
        BackendError: the model, the device or the options cannot be used.
    """
    if set(model.files) != {FILE}:
        raise BackendError(f"{WHERE}: files must be [{FILE!r}], got {sorted(model.files)!r}")
    return _load(model.files[FILE], device, options)


def load_compiled(
    compiled: bytes, model: Model, device: Device, options: Options
) -> OnnxRuntimeRunner:
    """As `load`, from the contexts that `OnnxRuntimeRunner.compiled` gave.

    Raises:
        BackendError: the provider refuses them, or the device or the options cannot be used.
    """
    return _load(compiled, device, options)


def compiled_for(device: Device) -> str | None:
    """What contexts for `device` depend on; None where it has none."""
    place = place_of(device.name)
    return None if place is None else facts(place)


def _load(content: bytes, device: Device, options: Options) -> OnnxRuntimeRunner:
    place = place_of(device.name)
    if place is None:
        names = [known.name for known in devices()]
        raise BackendError(f"{WHERE}: device must be one of {names!r}, got {device.name!r}")
    session = _session(content, place, options)

    def ahead() -> bytes | None:
        return compile_ahead(content, place, _prepared(content, place, options))

    runner = OnnxRuntimeRunner(session, device, ahead)
    _check_batch(session, runner, int(options.get("batch", 1)))
    return runner


def _prepared(content: bytes, place: Place, options: Options) -> onnxruntime.SessionOptions:
    settings = _settings(options, exact=not has_reduced_weights(content))
    if place.ep_device is not None:
        settings.add_provider_for_devices([place.ep_device], {})
    return settings


def _session(content: bytes, place: Place, options: Options) -> onnxruntime.InferenceSession:
    settings = _prepared(content, place, options)
    try:
        session = onnxruntime.InferenceSession(
            content,
            settings,
            providers=[place.provider] if place.ep_device is None else None,
            enable_fallback=0,  # it prints to stdout and goes on with the CPU
            read_config_from_model=0,  # else an environment variable lets models set options
        )
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise BackendError(
            f"{WHERE}: the model must load on device {place.device.name!r}, got {_reason(error)!r}"
        ) from error
    # NOTE: a provider that cannot start, or that takes no operator, is the CPU by another name.
    # ONNX Runtime says so in its log at most.
    parts = session.get_provider_graph_assignment_info()
    if not any(part.ep_name == place.provider for part in parts):
        raise BackendError(
            f"{WHERE}: device {place.device.name!r} must run at least one operator of the model, "
            "got 0"
        )
    return session


def _check_batch(
    session: onnxruntime.InferenceSession, runner: OnnxRuntimeRunner, batch: int
) -> None:
    """Raise BackendError unless the graph takes `batch` pictures; one is what all graphs take."""
    taken = runner.inputs[0].shape[0]
    if batch > 1 and taken != batch:
        metadata = session.get_modelmeta().custom_metadata_map
        reason = metadata.get(FIXED_BATCH, "the file was written for one number of them")
        raise BackendError(f"{WHERE}: the graph must take {batch} pictures, got {taken}; {reason}")


def versions() -> Mapping[str, str]:
    """The version of ONNX Runtime, how it was built, and its execution providers."""
    return {
        "onnxruntime": onnxruntime.__version__,
        "build": onnxruntime.get_build_info(),
        "providers": ", ".join(onnxruntime.get_available_providers()),
    }


def _settings(options: Options, *, exact: bool) -> onnxruntime.SessionOptions:
    """Settings for `options`.

    Args:
        options: of a candidate.
        exact: whether sums of products may saturate, if it is not seen to that they do not.

    Source: MobileNetV2 on an emulated Haswell: 25 dB from the exact result, and no difference with
        `session.x64quantprecision`, which halves the speed where it is not due.
    """
    unknown = sorted(set(options) - {*_OPTIONS})
    if unknown:
        raise BackendError(f"{WHERE}: options must be among {[*_OPTIONS]!r}, got {unknown[0]!r}")
    threads, calls, batch = (_count(options, name) for name in ("threads", "calls", "batch"))
    waiting = options.get("waiting", "sleep")
    if waiting not in WAITING:
        raise BackendError(f"{WHERE}: waiting must be one of {list(WAITING)!r}, got {waiting!r}")
    settings = onnxruntime.SessionOptions()
    # The calls share one pool; a single thread is that of the caller.
    settings.intra_op_num_threads = threads * calls if threads > 1 else 1
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 4  # every failure comes as an exception too
    entries = {
        **WAITING[str(waiting)],
        "session.record_ep_graph_assignment_info": "1",
        "session.x64quantprecision": str(int(exact and sums_saturate())),
        # The other format that ONNX Runtime knows by its first bytes is none that we write.
        "session.load_model_format": "ONNX",
        # Weights come with the model or not at all; the default is the working directory.
        "session.model_external_initializers_file_folder_path": os.devnull,
    }
    for key, value in entries.items():
        settings.add_session_config_entry(key, value)
    # Shapes are known when operators are chosen and memory is planned, as of one picture.
    settings.add_free_dimension_override_by_name(BATCH, batch)
    return settings


def _count(options: Options, name: str) -> int:
    value = options.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackendError(f"{WHERE}: {name} must be a whole number from 1, got {value!r}")
    return value


def _spec(node: Any, kind: str) -> TensorSpec:
    if node.type not in DTYPES or not all(isinstance(size, int) for size in node.shape):
        raise BackendError(
            f"{WHERE}: {kind} {node.name!r} must have a fixed shape and a type among "
            f"{list(DTYPES)!r}, got {node.type!r} of shape {tuple(node.shape)!r}"
        )
    return TensorSpec(name=node.name, shape=tuple(node.shape), dtype=DTYPES[node.type])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
