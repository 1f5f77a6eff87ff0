"""LiteRT's interpreter, or tflite-runtime's, behind a runner that threads can share."""

import os
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, Model, Options, Precision, Runner
from edgeprep.tensors import DType, TensorSpec
from edgeprep_tflite._announcement import without_announcement
from edgeprep_tflite._places import absent, delegate_of, devices

__all__ = [
    "WHERE",
    "InterpreterRunner",
    "absent",
    "devices",
    "library",
    "line",
    "load",
    "options",
    "specs",
    "versions",
]

FILE = "model.tflite"
WHERE = "backend 'litert'"

# tflite-runtime became ai-edge-litert: the successor is taken where both are installed.
_LIBRARIES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
_LIBRARY = next(name for name in _LIBRARIES if find_spec(name) is not None)
library: Any = import_module(f"{_LIBRARY}.interpreter")
_Interpreter: Any = library.Interpreter

_INTEGER = ("int8", "int8-int16")
_DTYPES: Mapping[np.dtype[Any], DType] = {
    np.dtype(name): name for name in ("uint8", "int8", "int32", "int64", "float16", "float32")
}


def versions() -> dict[str, str]:
    """The library that runs, and its version."""
    # Here, as it takes half as long to import as LiteRT itself, and running needs it not.
    from importlib import metadata

    distribution = _LIBRARIES[_LIBRARY]
    return {distribution: metadata.version(distribution)}


def options(device: Device, precision: Precision) -> tuple[Options, ...]:
    """On the CPU, one thread, half of the processors, all of them; without doubles.

    Half is for processors whose other half is slow, or is the same cores once more. The GPU
    computes in half precision only where the weights have no more. Kernels of tflite-runtime round
    integers in a way of their own, which `rounding` says: golden samples are LiteRT's.
    """
    if device.name == "gpu":
        return ({"precision": "f32"}, {"precision": "f16"})[: 2 if precision == "fp16" else 1]
    if device.name != "cpu":
        return ({},)
    count = _processors()
    counts = sorted({1, max(1, count // 2), count})
    own = _LIBRARY == "tflite_runtime" and precision in _INTEGER
    rounding: Options = {"rounding": "own"} if own else {}
    return tuple({"threads": threads, **rounding} for threads in counts)


def load(model: Model, device: Device, options: Options) -> Runner:
    """`model` on exactly `device`.

    Raises:
        BackendError: the file, the device or the options cannot be used.
    """
    if set(model.files) != {FILE}:
        raise BackendError(
            f"{WHERE}: a model must be the one file {FILE!r}, got {sorted(model.files)!r}"
        )
    names = [known.name for known in devices()]
    if device.name not in names:
        raise BackendError(f"{WHERE}: device must be one of {names!r}, got {device.name!r}")
    known = {"cpu": ("threads", "batch", "calls", "rounding"), "gpu": ("precision",)}.get(
        device.name, ()
    )
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise BackendError(f"{WHERE}: options must be among {known!r}, got {unknown[0]!r}")
    content = model.files[FILE]
    if delegate := delegate_of(device.name):
        from edgeprep_tflite._delegated import load_delegated  # here, as few devices have one

        return load_delegated(content, delegate)
    if device.name != "cpu":
        from edgeprep_tflite import _accelerated  # here, as the CPU does not need it

        return _accelerated.load(content, device, options)
    threads, batch = _count(options, "threads", 1), _count(options, "batch", 1)
    places = _count(options, "calls", max(1, _processors() // threads))
    return InterpreterRunner(content, threads, places=places, batch=batch)


def _count(options: Options, name: str, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackendError(f"{WHERE}: option {name!r} must be a whole number from 1, got {value!r}")
    return value


class InterpreterRunner(Runner):
    """Interpreters of one model, one to a call at a time.

    An interpreter that two threads enter at once raises. One behind a lock would leave processors
    idle; one a thread would hold the weights once more for every thread that ever came. So they
    are built as calls overlap, and no more than the processors can serve: whoever calls from one
    thread pays for one, and further callers wait.

    Args:
        content: the TFLite file. It must have one signature.
        threads: that one call computes on.
        places: how many calls there may be at once; None: what the processors can serve.
        batch: how many pictures a call takes.

    Raises:
        BackendError: the library cannot read or prepare `content`, or not for so many pictures.
    """

    def __init__(
        self, content: bytes, threads: int, *, places: int | None = None, batch: int = 1
    ) -> None:
        self._content = content
        self._threads = threads
        self._batch = batch
        self._places = threading.Semaphore(places or max(1, _processors() // threads))
        self._closed = False
        interpreter = self._build()
        try:
            signature = interpreter.get_signature_runner()
            inputs = specs(interpreter.get_input_details(), signature.get_input_details())
            outputs = specs(interpreter.get_output_details(), signature.get_output_details())
        except (ValueError, KeyError, IndexError) as error:
            raise BackendError(
                f"{WHERE}: a model must have one signature that names its tensors, "
                f"got {line(error)!r}"
            ) from error
        self._inputs = tuple(spec for _, spec in inputs)
        self._outputs = tuple(spec for _, spec in outputs)
        self._input_indices = tuple(index for index, _ in inputs)
        self._output_indices = tuple(index for index, _ in outputs)
        self._idle = [interpreter]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.inputs`."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.outputs`."""
        return self._outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """See `Runner.run`.

        Raises:
            BackendError: the library refuses the inputs, or fails.
            ClosedError: after `close`.
        """
        with self._places:
            if self._closed:
                raise ClosedError(f"{WHERE}: a runner must be open to run, got one that was closed")
            if len(inputs) != len(self._inputs):
                rule = f"inputs must be {len(self._inputs)}"
                raise BackendError(f"{WHERE}: {rule}, got {len(inputs)}")
            try:
                interpreter = self._idle.pop()
            except IndexError:
                interpreter = self._build()
            try:
                for index, array in zip(self._input_indices, inputs, strict=True):
                    interpreter.set_tensor(index, array)
                interpreter.invoke()
                outputs = tuple(interpreter.get_tensor(index) for index in self._output_indices)
            except (ValueError, RuntimeError) as error:
                # The interpreter is dropped: what state it was left in is not documented.
                raise BackendError(f"{WHERE}: must run the model, got {line(error)!r}") from error
            self._idle.append(interpreter)
            if self._closed:
                self._idle.clear()
            return outputs

    def close(self) -> None:
        """See `Runner.close`. Calls under way end well."""
        self._closed = True
        self._idle.clear()

    def _build(self) -> Any:
        try:
            with without_announcement():
                return self._make()
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"{WHERE}: must load the model, got {line(error)!r}") from error

    def _make(self) -> Any:
        interpreter = _Interpreter(model_content=self._content, num_threads=self._threads)
        if self._batch > 1:
            self._widen(interpreter)
        interpreter.allocate_tensors()
        return interpreter

    def _widen(self, interpreter: Any) -> None:
        """Make room for several pictures in the place of one."""
        taken = interpreter.get_input_details()
        shapes = [tuple(detail["shape"].tolist()) for detail in taken]
        if len(shapes) > 1 or shapes[0][0] != 1:
            said = "it remembers" if len(shapes) > 1 else "a call takes several as it is"
            rule = f"the network must take {self._batch} pictures"
            raise BackendError(f"{WHERE}: {rule}, got inputs of shape {shapes!r}; {said}")
        interpreter.resize_tensor_input(taken[0]["index"], [self._batch, *shapes[0][1:]])


def specs(
    ordered: list[dict[str, Any]], named: Mapping[str, dict[str, Any]]
) -> list[tuple[int, TensorSpec]]:
    """The tensors with their index, in the graph's order, under the signature's names.

    The signature lists them in alphabetical order. Of a tensor that is two outputs, an answer and
    the new state `next_…`, the state is the later one.
    """
    names: dict[int, list[str]] = {}
    for name in sorted(named, key=lambda name: (name.startswith("next_"), name)):
        names.setdefault(named[name]["index"], []).append(name)
    return [
        (
            detail["index"],
            TensorSpec(
                name=names[detail["index"]].pop(0),
                shape=tuple(detail["shape"].tolist()),
                dtype=_DTYPES[np.dtype(detail["dtype"])],
            ),
        )
        for detail in ordered
    ]


def _processors() -> int:
    # Where it exists, affinity tells what a container or taskset leaves to this process.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
