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
# By how much the shortest time of a call grows with each that takes longer, as devices get warm.
_FORGETTING = 1.01


class BatchingRunner(Runner):
    """A runner for one picture that answers several in one call while callers wait.

    A call that finds the engine idle goes to `single` at once, in its own thread. Those that find
    it busy queue; whoever is first at the engine when it is free again takes others with it, where
    they take less time together than one by one, as far as was seen. Only where the last calls came
    together does it wait for more of them, and not long. So whoever calls from one thread pays for
    a lock.

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
        self._single_time, self._batch_time = _ShortOfLate(), _ShortOfLate()

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
        if waiting is not None and not self._wins(waiting):
            return waiting.take()
        others: list[_Waiting] = []
        try:
            self._gather(others)
            if not others:
                return self._timed(self._single, inputs, self._single_time)
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
                other.is_answered = True
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
                results += [
                    self._timed(self._single, inputs, self._single_time) for inputs in group
                ]
        return tuple(results)

    def measure_burst(self, inputs: Request) -> list[float]:
        """See `Runner.measure_burst`."""
        return self._single.measure_burst(inputs)

    def measure_busy(self, inputs: Request, calls: int) -> list[float]:
        """See `Runner.measure_busy`; all batches are full."""
        stacked = tuple(np.concatenate([array] * self._batch) for array in inputs)
        return [ms / self._batch for ms in self._many.measure_busy(stacked, calls)]

    @property
    def worker_pid(self) -> int | None:
        """The process that both runners are in; None: this one."""
        return getattr(self._single, "worker_pid", None)

    @property
    def is_lost(self) -> bool:
        """Whether every later call of one of them would raise."""
        return any(getattr(runner, "is_lost", False) for runner in (self._single, self._many))

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

    def _wins(self, waiting: "_Waiting") -> bool:
        """Wait; whether it then has a place at the engine. If not, it was answered with another."""
        try:
            while True:
                waiting.turn.wait()
                # NOTE: before it is looked at, so that no call that comes meanwhile is lost.
                waiting.turn.clear()
                with self._changed:
                    if waiting.is_answered:
                        return False
                    if self._places and waiting in self._queue:
                        self._places -= 1
                        self._queue.remove(waiting)
                        self._call_next()  # where several became free before this thread ran
                        return True
        except BaseException:  # an interruption
            with self._changed:
                if waiting in self._queue:
                    self._queue.remove(waiting)
                    self._call_next()
            raise

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
        """Leave a place to whoever takes it first.

        NOTE: it is not kept for the one that is called: until that thread runs, the engine would
        stand still, which for a small network costs half of all answers.
        """
        with self._changed:
            self._places += 1
            self._call_next()

    def _call_next(self) -> None:
        if self._places and self._queue:
            self._queue[0].turn.set()

    def _is_worth(self, size: int) -> bool:
        """Whether a batch with so many pictures, the rest of it filled up, beats single calls."""
        if size == self._batch:
            return True
        return size > 1 and self._batch_time.seconds < size * self._single_time.seconds

    def _timed(self, runner: Runner, inputs: Request, time: "_ShortOfLate") -> Arrays:
        start = perf_counter()
        outputs = runner.run(inputs)
        took_s = perf_counter() - start
        time.saw(took_s)
        self._patience_s = min(took_s * _PATIENCE, _MOST_PATIENCE_S)
        return outputs

    def _together(self, requests: Sequence[Request]) -> tuple[Arrays, ...]:
        # Engines compute fixed sizes: what is missing is the last picture once more.
        filled = [*requests, *[requests[-1]] * (self._batch - len(requests))]
        stacked = tuple(np.concatenate(arrays) for arrays in zip(*filled, strict=True))
        outputs = self._timed(self._many, stacked, self._batch_time)
        rows = [len(output) // self._batch for output in outputs]
        return tuple(
            tuple(
                output[index * count : (index + 1) * count]
                for output, count in zip(outputs, rows, strict=True)
            )
            for index in range(len(requests))
        )


_INTERRUPTED = "batch: the call that computes it must end, got an interruption of its thread"


class _ShortOfLate:
    """The shortest that calls took, of late: what else they took was the machine's other work.

    Attributes:
        seconds: it; 0 where there was none.
    """

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def saw(self, seconds: float) -> None:
        # Without a lock: that one call more or less has a say changes nothing.
        self.seconds = min(seconds, self.seconds * _FORGETTING) if self.seconds else seconds


class _Waiting:
    """A call in the queue."""

    __slots__ = ("error", "inputs", "is_answered", "outputs", "turn")

    def __init__(self, inputs: Request) -> None:
        self.inputs = inputs
        self.outputs: Arrays = ()
        self.error: Exception | None = None
        self.turn = Event()
        self.is_answered = False

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
