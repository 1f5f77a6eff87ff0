"""The threads of one stream: one prepares what another one answers."""

import os
from collections.abc import Callable
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, EdgePrepError, ForkedRunnerError
from edgeprep.monitor import Event
from edgeprep.runtime.live.answer import Answer, StreamCounts
from edgeprep.runtime.live.capture import Capture, Taken
from edgeprep.runtime.live.hand_off import HandOff
from edgeprep.runtime.live.starting import start
from edgeprep.runtime.live.streams import Streams
from edgeprep.runtime.stream import FilmStream

__all__ = ["Failed", "Pipeline"]

# After these there is nothing more to come of a session.
_FINAL = (ClosedError, ForkedRunnerError)


class Failed(Struct, frozen=True, eq=False):
    """A picture without an answer.

    Attributes:
        error: why.
    """

    error: EdgePrepError


class _Ready(Struct, frozen=True, eq=False):
    """A picture that is prepared, with the film that it is of."""

    taken: Taken
    film: FilmStream
    prepared: Any
    error: EdgePrepError | None
    began_s: float
    ready_s: float


Outcome = Answer | Failed


class Pipeline:
    """Takes pictures of a source, and leaves what a session answers.

    Args:
        capture: the source.
        begin: a film that has seen nothing yet.
        convert: a picture of the source as the session takes it.
        name: of the source.
        most: how many may wait between two steps; None: what nobody takes in time gives way to
            what is newer.
        streams: the session's counters and events.

    Attributes:
        answers: what came of it.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        begin: Callable[[], FilmStream],
        convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        name: str,
        most: int | None,
        streams: Streams,
    ) -> None:
        # NOTE: of prepared pictures none gives way: the next one is taken when there is room, and
        # is the newest then. That costs no work in vain, and hardly any time.
        self._ready: HandOff[_Ready] = HandOff(most or 1)
        self.answers: HandOff[Outcome] = HandOff(most or 1, None if most else _gives_way)
        self._capture = capture
        self._begin = begin
        self._convert = convert
        self._name = name
        self._streams = streams
        self._pid = os.getpid()
        self._film = begin()
        self._shape: tuple[int, ...] | None = None
        self._forgets = False
        self._answered = self._failed = self._told = 0
        self._threads = [
            Thread(target=target, name=f"edgeprep {verb} {name}", daemon=True)
            for verb, target in (("prepares", self._prepare), ("answers", self._answer))
        ]

    def start(self) -> None:
        """Begin.

        Raises:
            BackendError: the system has not enough threads left; none runs then.
        """
        self._streams.add(self)
        try:
            for thread in self._threads:
                start(thread, f"stream of {self._name}")
        except BackendError:
            self.stop()
            self._streams.remove(self)
            raise

    @property
    def counts(self) -> StreamCounts:
        """What became of the pictures so far."""
        capture = self._capture
        return StreamCounts(
            arrived=capture.arrived,
            answered=self._answered,
            failed=self._failed,
            dropped=capture.dropped + self.answers.dropped,
            waiting=self.waiting,
            stalled=capture.stalled,
            connected=capture.connected,
        )

    @property
    def waiting(self) -> int:
        """How many pictures and answers wait between two steps."""
        return self._capture.waiting + self._ready.waiting + self.answers.waiting

    def check_process(self) -> None:
        """Refuse a fork, which has none of the threads.

        Raises:
            ForkedRunnerError: this process is one of that which opened the stream.
        """
        if os.getpid() != self._pid:
            rule = "must be used in the process that opened it"
            raise ForkedRunnerError(f"stream of {self._name}: {rule}, got a fork")

    def reset(self) -> None:
        """Let the next picture be the first of another film."""
        self._forgets = True

    def stop(self, fault: BaseException | None = None) -> None:
        """Let the threads end as soon as they can; whoever waits for an answer gets `fault`."""
        # NOTE: a fork has none of them, and locks may be held by those that it has not.
        if os.getpid() != self._pid:
            return
        self._capture.stop()
        self._ready.clear()
        self.answers.clear(fault)

    def join(self, patience_s: float) -> None:
        """After `stop`: wait for a moment until they have ended."""
        if os.getpid() != self._pid:
            return
        self._capture.join(patience_s)
        for thread in self._threads:
            thread.join(patience_s)

    def _prepare(self) -> None:
        try:
            while self._ready.wait_for_room() and (taken := self._capture.take()) is not None:
                if not self._ready.put(self._prepared(taken)):
                    break
        except BaseException as fault:  # noqa: BLE001 -- it is raised where answers are taken
            self._ready.end(fault)
        else:
            self._ready.end()
        finally:
            self._capture.stop()

    def _prepared(self, taken: Taken) -> _Ready:
        began_s = monotonic()
        picture = taken.arrived.picture
        shape = getattr(picture, "shape", None)
        forgets, self._forgets = self._forgets, False
        # Another connection, or another size, is another film: what was before is of no use.
        if self._shape is not None and (taken.begins or shape != self._shape or forgets):
            self._film = self._begin()
        self._shape = shape
        try:
            converted = self._convert(picture)
        except EdgePrepError as error:
            # What comes later the session counts.
            self._streams.meter.failed(error)
            return _Ready(taken, self._film, None, error, began_s, monotonic())
        try:
            prepared = self._film.prepare(converted, taken.index, taken.time_s)
        except _FINAL:
            raise
        except EdgePrepError as error:
            return _Ready(taken, self._film, None, error, began_s, monotonic())
        return _Ready(taken, self._film, prepared, None, began_s, monotonic())

    def _answer(self) -> None:
        try:
            while (ready := self._ready.take()) is not None:
                began_s = monotonic()
                outcome = self._outcome(ready)
                self._count(ready, outcome, began_s)
                if not self.answers.put(outcome):
                    break
                self._count_dropped()
        except BaseException as fault:  # noqa: BLE001 -- it is raised where answers are taken
            if not isinstance(fault, _FINAL):
                self._streams.meter.failed(fault)
                details = {"source": self._name, "state": "over"}
                is_ours = isinstance(fault, EdgePrepError)
                message = str(fault) if is_ours else f"{type(fault).__name__}: {fault}"
                self._streams.tell(Event(kind="stream", message=message, details=details))
            self.answers.end(fault)
        else:
            self.answers.end()
        finally:
            self._ready.clear()
            self._capture.stop()
            self._streams.remove(self)

    def _count(self, ready: _Ready, outcome: Outcome, began_s: float) -> None:
        self._answered += 1
        self._failed += isinstance(outcome, Failed)
        meter, arrived_s = self._streams.meter, ready.taken.arrived.at_s
        meter.took("wait", ready.began_s - arrived_s + began_s - ready.ready_s)
        meter.took("total", monotonic() - arrived_s)
        self._streams.count()

    def _count_dropped(self) -> None:
        """Count what gave way; after each answer, which may be what made another one give way."""
        dropped = self._capture.dropped + self.answers.dropped
        if dropped > self._told:
            self._streams.meter.dropped(dropped - self._told)
            self._told = dropped

    def _outcome(self, ready: _Ready) -> Outcome:
        if ready.error is not None:
            return Failed(ready.error)
        result = None
        if ready.prepared is not None:
            try:
                result = ready.film.answer(ready.prepared)
            except _FINAL:
                raise
            except EdgePrepError as error:
                return Failed(error)
        arrived = ready.taken.arrived
        return Answer(
            index=ready.taken.index,
            time_s=ready.taken.time_s,
            arrived_s=arrived.at_s,
            picture=arrived.picture,
            result=result,
        )


def _gives_way(waiting: Outcome, newer: Outcome) -> bool:
    """Whether `newer` says more than what waits: a picture without a result says nothing."""
    return isinstance(newer, Failed) or newer.result is not None or not _has_result(waiting)


def _has_result(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) or outcome.result is not None
