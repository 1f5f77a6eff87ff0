"""Several pictures in one call of the engine where calls overlap; alone, a call goes by itself."""

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from threading import Condition, Event
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.interfaces import Runner
from edgeprep.tensors import TensorSpec

__all__ = ["BatchingRunner"]

Arrays = tuple[NDArray[Any], ...]
Request = Sequence[NDArray[Any]]

# How long the engine may stand still for a batch to become full: as a share of what its last call
# took, so that it never costs more than it could bring, and at most. Set by judgement.
_PATIENCE = 0.5
_MOST_PATIENCE_S = 0.005


class BatchingRunner(Runner):
    """A runner for one picture that answers several in one call while callers wait.

    A call that finds the engine idle goes to `single` at once, in its own thread. Those that find
    it busy queue; the first of them goes on when the engine is free again, and takes the others
    with it. Only where the last calls came together does it wait for more of them, and not long.
    So whoever calls from one thread pays for a lock.

    Args:
        single: computes one picture a call.
        many: computes `batch` pictures a call.
        batch: from 2.
        calls: so many calls at once keep the engine busy.

    Raises:
        BackendError: `many` does not take and give `batch` times what `single` does.
    """

    def __init__(self, single: Runner, many: Runner, *, batch: int, calls: int = 1) -> None:
        for kind, ones, several in (
            ("input", single.inputs, many.inputs),
            ("output", single.outputs, many.outputs),
        ):
            _check_rows(kind, ones, several, batch)
        self._single = single
        self._many = many
        self._batch = batch
        self._places = calls
        self._queue: deque[_Waiting] = deque()
        self._changed = Condition()
        self._crowd = 1  # how many came together the last time
        self._patience_s = 0.0

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Those of one picture."""
        return self._single.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Those of one picture."""
        return self._single.outputs

    @property
    def batch(self) -> int:
        """See `Runner.batch`."""
        return self._batch

    def run(self, inputs: Request) -> Arrays:
        """See `Runner.run`. Of several that come at once, each has its own outputs, or error."""
        waiting = self._enter(inputs)
        if waiting is not None and not self._wait(waiting):
            return waiting.take()
        others: list[_Waiting] = []
        try:
            self._gather(others)
            if not others:
                return self._timed_single(inputs)
            outputs = self._together([inputs, *(other.inputs for other in others)])
            for other, found in zip(others, outputs[1:], strict=True):
                other.outputs = found
            return outputs[0]
        except BaseException as error:
            # An interruption of this thread is none of the others'.
            reason = error if isinstance(error, Exception) else BackendError(_INTERRUPTED)
            for other in others:
                other.error = reason
            raise
        finally:
            for other in others:
                other.turn.set()
            self._leave()

    def run_together(self, requests: Sequence[Request]) -> tuple[Arrays, ...]:
        """See `Runner.run_together`; the caller sees to how many threads call it at once."""
        results: list[Arrays] = []
        for first in range(0, len(requests), self._batch):
            group = requests[first : first + self._batch]
            if self._is_worth(len(group)):
                results += self._together(group)
            else:
                results += [self._single.run(inputs) for inputs in group]
        return tuple(results)

    def measure_burst(self, inputs: Request) -> list[float]:
        """See `Runner.measure_burst`."""
        return self._single.measure_burst(inputs)

    def measure_busy(self, inputs: Request, calls: int) -> list[float]:
        """See `Runner.measure_busy`; all batches are full."""
        stacked = tuple(np.concatenate([array] * self._batch) for array in inputs)
        return [ms / self._batch for ms in self._many.measure_busy(stacked, calls)]

    def close(self) -> None:
        """See `Runner.close`. Calls that wait raise ClosedError."""
        with ExitStack() as closing:
            closing.callback(self._many.close)
            closing.callback(self._single.close)

    def _enter(self, inputs: Request) -> "_Waiting | None":
        """None where the engine is free, which it then is no longer; or a place in the queue."""
        with self._changed:
            if self._places:
                self._places -= 1
                return None
            waiting = _Waiting(inputs)
            self._queue.append(waiting)
            if len(self._queue) + 1 >= self._crowd:
                self._changed.notify_all()
            return waiting

    def _wait(self, waiting: "_Waiting") -> bool:
        """Whether it is now its turn to use the engine; if not, it was answered with another."""
        try:
            waiting.turn.wait()
        except BaseException:  # an interruption: what it holds must go to the next
            with self._changed:
                queued = waiting in self._queue
                if queued:
                    self._queue.remove(waiting)
            if not queued and waiting.leads:
                self._leave()
            raise
        return waiting.leads

    def _gather(self, others: "list[_Waiting]") -> None:
        """Move those who are answered together with the caller from the queue to `others`."""
        with self._changed:
            if self._crowd > 1:
                wanted = self._crowd - 1
                self._changed.wait_for(lambda: len(self._queue) >= wanted, self._patience_s)
            size = min(1 + len(self._queue), self._batch)
            self._crowd = size if self._is_worth(size) else 1
            while len(others) < self._crowd - 1:
                others.append(self._queue.popleft())

    def _leave(self) -> None:
        """Give the engine to the next in the queue, or leave it idle."""
        with self._changed:
            if not self._queue:
                self._places += 1
                return
            waiting = self._queue.popleft()
            waiting.leads = True
        waiting.turn.set()

    def _is_worth(self, size: int) -> bool:
        """Whether a batch with so many pictures, the rest of it filled up, beats single calls."""
        return 2 * size > self._batch

    def _timed_single(self, inputs: Request) -> Arrays:
        start = perf_counter()
        outputs = self._single.run(inputs)
        self._patience_s = min((perf_counter() - start) * _PATIENCE, _MOST_PATIENCE_S)
        return outputs

    def _together(self, requests: Sequence[Request]) -> tuple[Arrays, ...]:
        # Engines compute fixed sizes: what is missing is the last picture once more.
        filled = [*requests, *[requests[-1]] * (self._batch - len(requests))]
        stacked = tuple(np.concatenate(arrays) for arrays in zip(*filled, strict=True))
        start = perf_counter()
        outputs = self._many.run(stacked)
        self._patience_s = min((perf_counter() - start) * _PATIENCE, _MOST_PATIENCE_S)
        rows = [len(output) // self._batch for output in outputs]
        return tuple(
            tuple(
                output[index * count : (index + 1) * count]
                for output, count in zip(outputs, rows, strict=True)
            )
            for index in range(len(requests))
        )


_INTERRUPTED = "batch: the call that computes it must end, got an interruption of its thread"


class _Waiting:
    """A call in the queue."""

    __slots__ = ("error", "inputs", "leads", "outputs", "turn")

    def __init__(self, inputs: Request) -> None:
        self.inputs = inputs
        self.outputs: Arrays = ()
        self.error: Exception | None = None
        self.turn = Event()
        self.leads = False

    def take(self) -> Arrays:
        if self.error is not None:
            raise _own(self.error) from self.error
        return self.outputs


def _own(error: Exception) -> Exception:
    """One like `error`, as tracebacks grow in each thread that raises one."""
    try:
        return copy(error)
    except Exception:  # noqa: BLE001 -- a foreign class, which is made of something else
        rule = "batch: the call that computes it must run"
        return BackendError(f"{rule}, got {type(error).__name__}: {error}")


def _check_rows(
    kind: str, ones: Sequence[TensorSpec], several: Sequence[TensorSpec], batch: int
) -> None:
    for one, found in zip(ones, several, strict=True):
        wanted = (one.shape[0] * batch, *one.shape[1:]) if one.shape else ()
        if found.shape != wanted or not wanted:
            rule = f"{kind} {one.name!r} must have shape {wanted!r} for {batch} pictures"
            raise BackendError(f"batch: {rule}, got {found.shape!r}")
