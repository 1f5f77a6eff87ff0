"""One backend in a process of its own: what it is asked, and why it gives no answer."""

import os
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock, RLock
from typing import Any

import msgspec

from edgeprep import errors
from edgeprep.errors import (
    BackendCrashed,
    BackendError,
    BackendOutOfMemory,
    BackendTimeout,
    ClosedError,
    EdgePrepError,
    ForkedRunnerError,
)
from edgeprep.last_moment import THE_END
from edgeprep.workers.limits import Limits
from edgeprep.workers.origin import Origin
from edgeprep.workers.process import Process
from edgeprep.workers.waiting import Patience, Watch
from edgeprep.workers.wire import Construct, Reply, Request, Trouble, receive, send

__all__ = ["Worker"]

_CHILD = "edgeprep.workers.child"


class Worker:
    """A process of its own with one backend. Any number of threads may ask it.

    It starts at once, and is waited for when something is asked.

    Args:
        origin: where it finds the backend's class.
        name: the backend's.
        limits: what it may take.

    Attributes:
        process: what it is to the system.
        died_in: the number of the runner that it worked for when it died; None: of none, or it
            lives.
        runners: how many it holds.

    What this process ends on purpose is no crash. As it says so before, those that wait are told
    that it was closed; and at the end of the program nobody is left to be told.

    Raises:
        OSError: the system starts no process.
        ClosedError: the program ends.
    """

    def __init__(self, origin: Origin, *, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.died_in: int | None = None
        self.runners = 0
        self._where = f"backend {name!r}"
        THE_END.leave(self._ended())
        self._asking = RLock()
        self._dying = Lock()
        self._death: EdgePrepError | None = None
        self._is_constructed = False
        self.process = Process(_CHILD, limits.address_bytes)
        self._watch = Watch(self.process, self.process.connection)
        with suppress(OSError):  # then it died at once, which is noticed when it is waited for
            send(self.process.connection, Construct(origin))

    @property
    def is_dead(self) -> bool:
        """Whether it is known to be dead."""
        return self._death is not None or THE_END.is_over

    def ask(
        self,
        request: Request,
        files: Sequence[int] = (),
        *,
        task: str,
        within_s: float,
        runner: int | None = None,
    ) -> Any:
        """The answer to `request`, in plain values.

        Args:
            request: what to do.
            files: open files that go with it.
            task: what it is, for messages, such as "load a model".
            within_s: how long it may take; then the worker is ended.
            runner: the number of the runner that it is done for.

        Raises:
            BackendCrashed: the worker died.
            BackendTimeout: it did not answer in time.
            BackendError: the backend failed.
        """
        with self._asking:
            self.wait_until_ready()
            return self._exchange(request, files, Patience(task, within_s, runner))

    def wait_until_ready(self) -> None:
        """Wait until the backend is constructed.

        Raises:
            BackendUnavailable: a library that it needs is missing or cannot be imported.
            BackendError: it failed, or the worker died or took too long.
        """
        with self._asking:
            if self._is_constructed:
                return
            try:
                self._exchange(None, (), Patience("start", self.limits.start_s, None))
            except EdgePrepError as error:
                self.end(error)
                raise
            self._is_constructed = True

    def _exchange(self, request: Request | None, files: Sequence[int], patience: Patience) -> Any:
        self.check_usable()
        connection, watch = self.process.connection, self._watch
        try:
            if request is not None:
                send(connection, request, files)
            body = receive(connection, lambda: watch.wait(patience))
        except TimeoutError as error:
            raise self.give_up(patience) from error
        except (EOFError, OSError) as error:
            raise self.lost(patience) from error
        except BaseException:  # such as an interrupt: its answer would be taken for the next one's
            self.end(ClosedError(f"{self._where}: its worker must be left alone, got an interrupt"))
            raise
        reply = msgspec.msgpack.decode(body, type=Reply)
        if reply.trouble is not None:
            raise self.trouble(reply.trouble, patience.task)
        return reply.value

    def check_usable(self) -> None:
        """Refuse a call after its death, or in a fork.

        Raises:
            BackendError: it is dead; why.
            ClosedError: it was ended.
            ForkedRunnerError: this process is a fork of the one that started it.
        """
        if os.getpid() != self.process.parent:
            raise ForkedRunnerError(
                f"{self._where}: its worker must be asked by the process that started it, "
                "got a fork"
            )
        THE_END.leave(self._ended())
        if self._death is not None:
            raise _again(self._death)

    def trouble(self, trouble: Trouble, task: str) -> EdgePrepError:
        """What the backend raised there, to be raised here."""
        if trouble.out_of_memory:
            size = _size(self.limits.address_bytes)
            rule = f"must {task} in its worker, in {size} of addresses"
            return BackendOutOfMemory(f"{self._where}: {rule}, got {trouble.message}")
        if trouble.error in errors.__all__:
            error: EdgePrepError = getattr(errors, trouble.error)(trouble.message)
            return error
        return BackendError(f"{self._where}: must {task} in its worker, got {trouble.message}")

    def lost(self, patience: Patience) -> EdgePrepError:
        """The worker is gone, or says so, while it was waited for: why."""
        THE_END.leave(self._ended())
        with self._dying:
            if self._death is not None:
                return _again(self._death)
            rule = f"{self._where}: must {patience.task} in its worker"
            ended = self.process.how_it_ended()
            error = BackendCrashed(f"{rule}, got the worker's death {ended}{self._last_words()}")
            return self._die_of(error, patience.runner)

    def give_up(self, patience: Patience) -> EdgePrepError:
        """End the worker, which did not answer in time: why, as `lost`."""
        THE_END.leave(self._ended())
        with self._dying:
            if self._death is not None:
                return _again(self._death)
            rule = f"must {patience.task} in its worker within {patience.within_s:g} s"
            rule = f"{self._where}: {rule}"
            if self.process.is_stopped:
                # Whoever stopped it, it is not the backend that is slow.
                error = BackendError(f"{rule}, got a worker that was stopped")
            else:
                error = BackendTimeout(f"{rule}, got no answer{self._last_words()}")
            return self._die_of(error, patience.runner)

    def end(self, reason: EdgePrepError | None = None) -> None:
        """End the process, at once; again, it does nothing.

        Args:
            reason: what later calls are told; None: that it was closed.
        """
        if os.getpid() != self.process.parent:
            return
        with self._dying:
            if self._death is None:
                self._die_of(reason or self._ended(), None)

    def _ended(self) -> ClosedError:
        return ClosedError(f"{self._where}: its worker must be open, got one that ended")

    def _die_of(self, error: EdgePrepError, runner: int | None) -> EdgePrepError:
        self.died_in = runner
        self._death = error
        self.process.end()
        return error

    def _last_words(self) -> str:
        words = self.process.last_words()
        return f"; its last words: {words!r}" if words else ""


def _size(size_bytes: int) -> str:
    if size_bytes < 2**30:
        return f"{size_bytes / 2**20:.3g} MiB"
    return f"{size_bytes / 2**30:.1f} GiB"


def _again(error: EdgePrepError) -> EdgePrepError:
    """One for each thread that raises it: a traceback belongs to one."""
    return type(error)(*error.args)
