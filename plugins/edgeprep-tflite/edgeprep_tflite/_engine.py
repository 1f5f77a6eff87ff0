"""LiteRT's interpreter, or tflite-runtime's, behind a runner that threads can share."""

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.interfaces import Device, Model, Options, Precision, Runner
from edgeprep.processor import available_cpus
from edgeprep_tflite._announcement import without_announcement
from edgeprep_tflite._places import absent, delegate_of, devices
from edgeprep_tflite._runner import WHERE, SignedRunner, closed, line

__all__ = ["InterpreterRunner", "absent", "devices", "library", "load", "options", "versions"]

FILE = "model.tflite"

# tflite-runtime became ai-edge-litert: the successor is taken where both are installed.
_LIBRARIES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
_LIBRARY = next(name for name in _LIBRARIES if find_spec(name) is not None)
library: Any = import_module(f"{_LIBRARY}.interpreter")
_Interpreter: Any = library.Interpreter

_INTEGER = ("int8", "int8-int16")


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
    count = available_cpus()
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
    places = _count(options, "calls", max(1, available_cpus() // threads))
    return InterpreterRunner(content, threads, places=places, batch=batch)


def _count(options: Options, name: str, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BackendError(f"{WHERE}: option {name!r} must be a whole number from 1, got {value!r}")
    return value


class InterpreterRunner(SignedRunner):
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
        self._places = threading.Semaphore(places or max(1, available_cpus() // threads))
        self._closed = False
        interpreter = self._build()
        super().__init__(interpreter)
        self._idle = [interpreter]

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """See `Runner.run`.

        Raises:
            BackendError: the library refuses the inputs, or fails.
            ClosedError: after `close`.
        """
        with self._places:
            if self._closed:
                raise closed()
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
