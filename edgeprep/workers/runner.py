"""A model that is loaded in a worker, as a runner of this process."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from msgspec import Struct, field
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, EdgePrepError
from edgeprep.interfaces import Runner
from edgeprep.tensors import TensorSpec
from edgeprep.workers import shared, wire
from edgeprep.workers.lane import LaneOut, check_feed
from edgeprep.workers.worker import Worker

__all__ = ["Seat", "WorkerRunner"]

T = TypeVar("T")


class Seat(Struct, frozen=True, kw_only=True, eq=False):
    """Where a model is loaded.

    Attributes:
        worker: in this one.
        number: as this runner.
        loaded: what it takes and gives.
        free: ways there that no thread is using.
    """

    worker: Worker
    number: int
    loaded: wire.Loaded
    free: deque[LaneOut] = field(default_factory=deque)

    def close_free(self) -> None:
        """Close the ways that no thread is using."""
        with suppress(IndexError):  # until there is none; others may take some, too
            while True:
                self.free.pop().close()


class WorkerRunner(Runner):
    """Runs a model in a worker, for any number of threads; each has its own way there.

    When the worker dies in a call, that call and all later ones raise why. When it dies in the call
    of another runner, the next call here loads the model again first.

    Args:
        load: loads the model, again where need be.
        leave: called with the seat when it is no longer needed.
    """

    def __init__(self, load: Callable[[], Seat], leave: Callable[[Seat], object]) -> None:
        self._load = load
        self._leave = leave
        self._parent = os.getpid()
        self._loading = Lock()
        # NOTE: never held while a model is loaded, which `close` does not wait for.
        self._changing = Lock()
        self._fault: EdgePrepError | None = None
        self._is_closed = False
        self._seat = load()
        self._where = f"backend {self._seat.worker.name!r}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order in which `run` takes them."""
        return self._seat.loaded.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, in the order in which `run` returns them."""
        return self._seat.loaded.outputs

    @property
    def worker_pid(self) -> int:
        """The number of the process that the model is in."""
        return self._seat.worker.process.pid

    @property
    def is_lost(self) -> bool:
        """Whether every later call would raise, too: it has to be loaded anew."""
        return self._fault is not None

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The outputs for `inputs`; the arrays belong to the caller.

        Raises:
            BackendCrashed: the worker died in this call or an earlier one.
            BackendTimeout: it did not answer in time, in this call or an earlier one.
            BackendError: the backend failed, or `inputs` are not what the model takes.
            ClosedError: the runner was closed.
            ForkedRunnerError: this process is a fork of the one that loaded the model.
        """
        check_feed(self._where, self._seat.loaded.inputs, inputs)
        seat = self._usable_seat()
        try:
            lane = seat.free.pop()
        except IndexError:
            lane = self._in_seat(seat, lambda: LaneOut(seat.worker, seat.number, seat.loaded))
        try:
            outputs = self._in_seat(seat, lambda: lane.run(inputs))
        except BaseException:  # what it still has to answer would be taken for the next call's
            lane.close()
            raise
        seat.free.append(lane)
        # NOTE: only now, so that who closes the runner meanwhile misses none.
        if self._is_closed or seat is not self._seat:
            seat.close_free()
        return outputs

    def measure_burst(self, inputs: Sequence[NDArray[Any]]) -> list[float]:
        """Milliseconds of each of a short run of calls, timed where the model is.

        Args:
            inputs: for every call, as `run` takes them.

        Raises:
            BackendError: as `run`, and the rest as there.
        """
        return self._measure(inputs)

    def measure_busy(self, inputs: Sequence[NDArray[Any]], calls: int) -> list[float]:
        """See `Runner.measure_busy`; the threads are where the model is.

        Raises:
            BackendError: as `run`, and the rest as there.
        """
        return self._measure(inputs, calls)

    def _measure(self, inputs: Sequence[NDArray[Any]], callers: int = 0) -> list[float]:
        check_feed(self._where, self._seat.loaded.inputs, inputs)
        seat = self._usable_seat()
        specs = seat.loaded.inputs
        memory = shared.create(shared.size_of(specs))
        try:
            for room, given in zip(shared.views(memory, specs), inputs, strict=True):
                room[...] = given
            request = wire.Burst(seat.number, len(memory.bytes), callers)
            # Each caller runs twice at least, and those of some engines take turns.
            limit = seat.worker.limits.run_s * 2 * max(callers, 1)
            given = self._ask(seat, request, [memory.file], "time a model", limit)
            return [float(ms) for ms in given]
        finally:
            memory.close_file()

    def compiled(self) -> bytes | None:
        """See `Runner.compiled`.

        Raises:
            BackendError: the engine cannot give it after all; or as `run`.
        """
        seat = self._usable_seat()
        request, limit = wire.Compiled(seat.number), seat.worker.limits.load_s
        given = self._ask(seat, request, (), "give a compiled model", limit)
        return None if given is None else bytes(given)

    def close(self) -> None:
        """Let go of the model. Again, or in a fork, it does nothing."""
        if os.getpid() != self._parent:
            return
        with self._changing:
            if self._is_closed:
                return
            self._is_closed = True
            seat = self._seat
        seat.close_free()
        self._leave(seat)

    def _ask(
        self,
        seat: Seat,
        request: wire.Request,
        files: Sequence[int],
        task: str,
        within_s: float | None = None,
    ) -> Any:
        limit = seat.worker.limits.run_s if within_s is None else within_s

        def ask() -> Any:
            return seat.worker.ask(request, files, task=task, within_s=limit, runner=seat.number)

        return self._in_seat(seat, ask)

    def _in_seat(self, seat: Seat, call: Callable[[], T]) -> T:
        """What `call` gives; the death of the worker in it is kept."""
        try:
            return call()
        except EdgePrepError as error:
            if self._is_closed:
                raise self._closed() from error
            if seat.worker.is_dead and seat is self._seat:
                self._fault = error
            raise
        except OSError as error:
            raise self._out_of_means(error) from error

    def _usable_seat(self) -> Seat:
        if self._is_closed:
            raise self._closed()
        seat = self._seat
        if self._fault is None and not seat.worker.is_dead:
            return seat
        with self._loading:
            if self._fault is None and self._seat.worker.is_dead:
                self._sit_again()
            if self._is_closed:
                raise self._closed()
            if self._fault is not None:
                raise type(self._fault)(*self._fault.args)
            return self._seat

    def _sit_again(self) -> None:
        worker, loaded = self._seat.worker, self._seat.loaded
        try:
            # Where it died in nobody's call, it may have died of this model.
            if worker.died_in is None:
                worker.check_usable()
            self._seat.close_free()
            seat = self._load()
            with self._changing:
                is_late = self._is_closed
                if not is_late:
                    self._seat = seat
            if is_late:
                self._leave(seat)
            elif seat.loaded != loaded:
                rule = "must load a model as before"
                raise BackendError(f"{self._where}: {rule}, got {seat.loaded!r}")
        except EdgePrepError as error:
            self._fault = error
        except OSError as error:
            self._fault = self._out_of_means(error)

    def _out_of_means(self, error: OSError) -> BackendError:
        rule = "must have files, memory and a process to run a model"
        return BackendError(f"{self._where}: {rule}, got {error.strerror!r}")

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self._where}: a runner must be open to run, got one that was closed")
