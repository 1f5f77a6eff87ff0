"""LiteRT's GPU and NPU behind a runner: models compiled for them alone, without the CPU's help.

Importing this module imports what of ai-edge-litert the interpreter does not need.
"""

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel  # type: ignore[import-untyped]
from ai_edge_litert.environment import Environment  # type: ignore[import-untyped]
from ai_edge_litert.hardware_accelerator import (  # type: ignore[import-untyped]
    HardwareAccelerator,
)
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from ai_edge_litert.options import GpuOptions  # type: ignore[import-untyped]
from ai_edge_litert.options import Options as Settings
from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.interfaces import Device, Options
from edgeprep.tensors import TensorSpec
from edgeprep_tflite._announcement import libraries_may_speak
from edgeprep_tflite._runner import WHERE, SignedRunner, closed, line
from edgeprep_tflite._stderr import held_stderr

__all__ = ["AcceleratedRunner", "load"]

_ACCELERATORS = {"gpu": HardwareAccelerator.GPU, "npu": HardwareAccelerator.NPU}
_PRECISIONS = ("f32", "f16")
_NO_OPENCL = "LITERT_DISABLE_OPENCL"

_lock = threading.Lock()
_environment: Any = None


def load(content: bytes, device: Device, options: Options) -> "AcceleratedRunner":
    """`content` on the accelerator `device`.

    Raises:
        BackendError: the file, the device or the options cannot be used.
    """
    precision = options.get("precision", "f32")
    if precision not in _PRECISIONS:
        raise BackendError(
            f"{WHERE}: option 'precision' must be one of {_PRECISIONS!r}, got {precision!r}"
        )
    printed: list[bytes] = []

    def release(held: bytes) -> bytes:
        printed.append(held)
        return held if libraries_may_speak() else b"".join(_others(held))

    fault: Exception | None = None
    # What went wrong stands in what is printed, and nowhere else.
    with held_stderr(release), _without_opencl():
        try:
            runner = AcceleratedRunner(content, device, str(precision))
        except (RuntimeError, ValueError, KeyError, IndexError) as error:
            fault = error
    said = _complaint(b"".join(printed), device)
    if not printed and device.name == "npu":
        # NOTE: where nobody has seen what was printed, it may be the CPU that computes.
        said = "stderr that cannot be held back, where LiteRT says whether it does"
    if fault or (said and device.name == "npu"):
        got = said or (line(fault) if fault else "")
        raise BackendError(
            f"{WHERE}: must load the model on device {device.name!r}, got {got!r}"
        ) from fault
    return runner


class AcceleratedRunner(SignedRunner):
    """One compiled model and its buffers; callers take turns, as the accelerator does itself."""

    def __init__(self, content: bytes, device: Device, precision: str) -> None:
        compiled = _compile(content, device, precision)
        if not compiled.is_fully_accelerated():
            raise ValueError("some operators are left to the CPU")
        super().__init__(Interpreter(model_content=content))  # for the order of inputs and outputs
        (key,) = compiled.get_signature_list()
        self._device = device
        self._lock = threading.Lock()
        self._compiled = compiled
        self._key = key
        self._feeds = {
            spec.name: compiled.create_input_buffer_by_name(key, spec.name) for spec in self._inputs
        }
        self._results = {
            spec.name: compiled.create_output_buffer_by_name(key, spec.name)
            for spec in self._outputs
        }
        # The first array that is written sets up more, and prints.
        for spec, buffer in zip(self._inputs, self._feeds.values(), strict=True):
            buffer.write(np.zeros(spec.shape, spec.dtype))

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """See `Runner.run`.

        Raises:
            BackendError: the library refuses the inputs, or fails.
            ClosedError: after `close`.
        """
        with self._lock:
            if self._compiled is None:
                raise closed()
            _check(inputs, self._inputs)
            try:
                for buffer, array in zip(self._feeds.values(), inputs, strict=True):
                    buffer.write(array)
                self._compiled.run_by_name(self._key, self._feeds, self._results)
                return tuple(
                    buffer.read(int(np.prod(spec.shape)), np.dtype(spec.dtype)).reshape(spec.shape)
                    for spec, buffer in zip(self._outputs, self._results.values(), strict=True)
                )
            except (RuntimeError, ValueError) as error:
                raise BackendError(
                    f"{WHERE}: must run the model on device {self._device.name!r}, "
                    f"got {line(error)!r}"
                ) from error

    def close(self) -> None:
        """See `Runner.close`. A call under way ends well."""
        with self._lock:
            self._feeds, self._results = {}, {}
            self._compiled = None


def _compile(content: bytes, device: Device, precision: str) -> Any:
    settings = Settings(
        hardware_accelerators=_ACCELERATORS[device.name],
        gpu_options=GpuOptions(enforce_f32=precision == "f32"),
    )
    return CompiledModel.from_buffer(content, environment=_shared_environment(), options=settings)


def _shared_environment() -> Any:
    global _environment
    with _lock:
        if _environment is None:
            _environment = Environment.create()
            # NOTE: never let go, as its end prints to stderr, when the process ends at the latest.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(_environment.capsule))
        return _environment


@contextmanager
def _without_opencl() -> Iterator[None]:
    """Inside, LiteRT does not look for OpenCL; it would print to stdout what comes of that.

    Its wheels bring no accelerator that uses it. There is no other way to say so than a variable of
    the process, which is set for the time of a load alone.
    """
    if _NO_OPENCL in os.environ:
        yield
        return
    os.environ[_NO_OPENCL] = "1"
    try:
        yield
    finally:
        del os.environ[_NO_OPENCL]


def _check(inputs: Sequence[NDArray[Any]], wanted: Sequence[TensorSpec]) -> None:
    """Raise BackendError unless `inputs` fit; buffers take any array of at most their size."""
    found = [(array.dtype.name, array.shape) for array in inputs]
    needed = [(spec.dtype, spec.shape) for spec in wanted]
    if found != needed:
        raise BackendError(f"{WHERE}: inputs must be {needed!r}, got {found!r}")


# How lines of LiteRT, of its GPU library and of what that is built on begin.
_BEGINNINGS = (
    *(f"{level}:".encode() for level in ("VERBOSE", "INFO", "WARNING", "ERROR", "Warning")),
    *(letter + str(digit).encode() for letter in (b"I", b"W", b"E") for digit in range(10)),
    b"=== Source Location Trace",
    b"third_party/",
    "└".encode(),
    b" - While ",
    b"    at ",
    b"\n",
)


def _others(printed: bytes) -> list[bytes]:
    """The lines that are none of LiteRT's, such as those of another thread."""
    lines = printed.splitlines(keepends=True)
    return [each for each in lines if not each.startswith(_BEGINNINGS)]


def _complaint(printed: bytes, device: Device) -> str:
    """The first error that LiteRT told of; on an NPU also that what compiles for it is missing.

    NOTE: without that, LiteRT computes on the CPU, and says that all is accelerated.
    """
    for each in printed.decode(errors="replace").splitlines():
        head, _, text = each.partition("] ")
        missing = device.name == "npu" and text.startswith(("Failed to load plugin", "NPU acc"))
        if text and (head.startswith("ERROR: [") or missing):
            return text.strip()
    return ""
