"""One thread's way to a model in a worker: a socket, and memory for what goes in and comes out."""

from collections.abc import Sequence
from typing import Any
from weakref import finalize

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.tensors import TensorSpec
from edgeprep.workers import shared, wire
from edgeprep.workers.process import connect
from edgeprep.workers.waiting import Patience, Watch
from edgeprep.workers.worker import Worker

__all__ = ["LaneOut", "check_feed"]

_TASK = "run a model"


class LaneOut:
    """Runs a model in a worker, for one thread at a time.

    Args:
        worker: where the model is loaded.
        number: of its runner there.
        loaded: what it takes and gives.

    Attributes:
        close: lets go of it.

    Raises:
        BackendError: the worker died, or has no memory left.
    """

    def __init__(self, worker: Worker, number: int, loaded: wire.Loaded) -> None:
        self._worker = worker
        self._number = number
        specs = (*loaded.inputs, *loaded.outputs)
        memory = shared.create(shared.size_of(specs))
        try:
            self._connection, theirs = connect()
            self.close = finalize(self, self._connection.close)
            # Not at the end of the program, while calls are waited for.
            self.close.atexit = False
            with theirs:
                worker.ask(
                    wire.Lane(number, len(memory.bytes)),
                    [theirs.fileno(), memory.file],
                    task=_TASK,
                    within_s=worker.limits.run_s,
                    runner=number,
                )
        finally:
            memory.close_file()
        arrays = shared.views(memory, specs)
        self._inputs = arrays[: len(loaded.inputs)]
        self._outputs = arrays[len(loaded.inputs) :]
        self._watch = Watch(worker.process, self._connection)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The outputs for `inputs`; the arrays belong to the caller.

        Raises:
            BackendError: the worker died or took too long, or the backend failed.
        """
        worker = self._worker
        worker.check_usable()
        for room, given in zip(self._inputs, inputs, strict=True):
            np.copyto(room, given)
        patience = Patience(_TASK, worker.limits.run_s, self._number)
        try:
            self._connection.sendall(b"r")
            body = wire.receive(self._connection, lambda: self._watch.wait(patience))
        except TimeoutError as error:
            raise worker.give_up(patience) from error
        except (EOFError, OSError) as error:
            raise worker.lost(patience) from error
        if not body:
            return tuple(array.copy() for array in self._outputs)
        fault = msgspec.msgpack.decode(body, type=wire.Fault)
        if fault.trouble is not None:
            raise worker.trouble(fault.trouble, _TASK)
        return tuple(map(_array, fault.outputs))


def check_feed(where: str, specs: Sequence[TensorSpec], inputs: Sequence[NDArray[Any]]) -> None:
    """Refuse inputs that a model does not take, which would be spread over the memory for it.

    Raises:
        BackendError: they are others.
    """
    # NOTE: a loop and not two lists, as this is done for every picture.
    if len(inputs) == len(specs):
        for spec, given in zip(specs, inputs, strict=True):
            if given.shape != spec.shape or given.dtype != spec.dtype:
                break
        else:
            return
    wanted = [f"{spec.dtype} {spec.shape}" for spec in specs]
    got = [f"{given.dtype} {given.shape}" for given in inputs]
    raise BackendError(f"{where}: inputs must be {wanted}, got {got}")


def _array(output: wire.Output) -> NDArray[Any]:
    # A bytearray, as the array is the caller's to change.
    return np.frombuffer(bytearray(output.content), output.dtype).reshape(output.shape)
