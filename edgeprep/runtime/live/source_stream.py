"""The answers of a session to what a source sends, as threads work them out."""

import atexit
import weakref
from collections.abc import Callable, Iterator
from threading import Thread
from time import monotonic
from typing import Any, Self

from edgeprep.closing import Closing
from edgeprep.errors import EdgePrepError, InputError
from edgeprep.last_moment import THE_END
from edgeprep.monitor.log import say
from edgeprep.runtime.live.answer import Answer, StreamCounts
from edgeprep.runtime.live.pipeline import Failed, Pipeline
from edgeprep.runtime.live.starting import start

__all__ = ["SourceStream"]

# A driver that hangs must keep neither `close` nor the end of the process.
_GOODBYE_S = 1.0
# That of `logging`, which takes long to import.
_ERROR = 40


class SourceStream(Iterator[Answer], Closing):
    """The answers to the pictures of one source: by iterating, awaiting, or being called.

    `Session.stream` makes it; the threads begin at once. It is closed by `close()`, at the end of a
    `with` block, or when nobody holds it any more and it calls no listener.

    Attributes:
        name: of the source, as it may be shown.
    """

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.name = name
        self._pipeline = pipeline
        self._follower: Thread | None = None
        pipeline.start()
        _RUNNING.add(pipeline)
        # The threads know the pipeline alone, so that a stream that is forgotten ends.
        self._finalizer = weakref.finalize(self, pipeline.stop)
        self._finalizer.atexit = False

    @property
    def counts(self) -> StreamCounts:
        """What became of the pictures so far."""
        return self._pipeline.counts

    def __next__(self) -> Answer:
        """The next answer, as soon as it is there.

        Raises:
            FilmError: the source cannot be opened or read; it is the end. `StreamStalled` where it
                sends nothing.
            InputError, OutputError, BackendError: as for one picture. The next call goes on.
            ClosedError: the session was closed; it is the end.
            ForkedRunnerError: this process is a fork of the one that opened the stream.
        """
        self._pipeline.check_process()
        outcome = self._pipeline.answers.take()
        if outcome is None:
            raise StopIteration
        return _open(outcome)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Answer:
        """See `__next__`; the loop goes on meanwhile."""
        from edgeprep.runtime.live.awaiting import wait_for  # here, as few programs have a loop

        self._pipeline.check_process()
        answers = self._pipeline.answers
        while (outcome := answers.poll()) is None:
            if answers.is_over:
                raise StopAsyncIteration
            await wait_for(answers.listen, answers.forget)
        return _open(outcome)

    def follow(
        self,
        listener: Callable[[Answer], object],
        *,
        fault: Callable[[EdgePrepError], object] | None = None,
    ) -> None:
        """Have `listener` called with every answer, in a thread of this stream's own.

        The stream goes on though nobody holds it, until it ends, or its session is closed.

        Args:
            listener: what it raises is logged, and it is called with the next answer.
            fault: is called where there is an error in the place of an answer; None: it is logged.

        Raises:
            InputError: `listener` or `fault` cannot be called, or there is a listener already.
            BackendError: the system has no thread left.
        """
        for name, function in (("listener", listener), ("fault", fault)):
            if not callable(function) and not (name == "fault" and function is None):
                where = f"stream of {self.name}: {name}"
                raise InputError(f"{where}: must be a function of one argument, got {function!r}")
        if self._follower is not None:
            rule = "must be followed by one listener"
            raise InputError(f"stream of {self.name}: {rule}, got another one")
        follower = Thread(
            target=_follow,
            # NOTE: it holds the stream, which nobody else may hold: a listener is enough.
            args=(self, self._pipeline, listener, fault),
            name=f"edgeprep tells of {self.name}",
            daemon=True,
        )
        start(follower, f"stream of {self.name}")
        self._follower = follower

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the listener was called for the last time; whether that was in time."""
        if self._follower is not None:
            self._follower.join(timeout_s)
        return self._follower is None or not self._follower.is_alive()

    def reset(self) -> None:
        """Forget all earlier pictures: the next one is the first of another film."""
        self._pipeline.reset()

    def close(self) -> None:
        """Let go of the source, and end the iteration. Calling it again does nothing."""
        _RUNNING.discard(self._pipeline)
        self._pipeline.stop()
        self._pipeline.join(_GOODBYE_S)

    def __iter__(self) -> Self:
        return self


_RUNNING: "weakref.WeakSet[Pipeline]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """At the end of the process: threads that are inside an engine would die there."""
    pipelines = list(_RUNNING)
    for pipeline in pipelines:
        # Nothing, where this process is a fork.
        pipeline.stop()
    THE_END.begin()
    until_s = monotonic() + THE_END.left_s(_GOODBYE_S)
    for pipeline in pipelines:
        pipeline.join(max(until_s - monotonic(), 0.0))


def _open(outcome: Answer | Failed) -> Answer:
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome


def _follow(
    stream: SourceStream,
    pipeline: Pipeline,
    listener: Callable[[Answer], object],
    fault: Callable[[EdgePrepError], object] | None,
) -> None:
    def call(function: Callable[[Any], object], argument: object) -> None:
        try:
            function(argument)
        except Exception as raised:  # noqa: BLE001 -- it is logged
            say(_ERROR, "stream of %s: a listener failed", stream.name, fault=raised)

    def log(error: EdgePrepError) -> None:
        say(_ERROR, "stream of %s: %s", stream.name, error)

    tell = fault or log
    try:
        while (outcome := pipeline.answers.take()) is not None:
            if isinstance(outcome, Failed):
                call(tell, outcome.error)
            else:
                call(listener, outcome)
    except EdgePrepError as error:
        call(tell, error)
    except Exception as raised:  # noqa: BLE001 -- it is logged
        say(_ERROR, "stream of %s: it failed", stream.name, fault=raised)
