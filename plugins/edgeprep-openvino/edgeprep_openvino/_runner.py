"""One compiled model, which any number of threads may call."""

from collections import deque
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Runner
from edgeprep.tensors import DType, TensorSpec
from edgeprep_openvino._reason import reason
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced.
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

__all__ = ["WHERE", "CompiledRunner"]

WHERE = "backend 'openvino'"

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
        self._idle.append(request)
        # NOTE: only now, so that who closes the runner meanwhile leaves none.
        if self._compiled is None:
            self._idle.clear()
        return outputs

    def _take(self, compiled: ov.CompiledModel) -> "_Request":
        try:
            return self._idle.pop()
        except IndexError:
            return _Request(compiled)

    def compiled(self) -> bytes | None:
        """See `Runner.compiled`: the network as the device has it, weights included."""
        compiled = self._compiled
        if compiled is None:
            raise ClosedError(f"{WHERE}: a runner must be open to run, got one that was closed")
        stream = BytesIO()
        try:
            compiled.export_model(stream)
        except RuntimeError as error:
            raise BackendError(
                f"{WHERE}: must give its compiled model, got {reason(error)!r}"
            ) from error
        return stream.getvalue()

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
