"""A process with one backend in it, and what this side knows of its life."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Lock, RLock
from typing import Any
from weakref import WeakSet, finalize

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
from edgeprep.workers.interpreter import command
from edgeprep.workers.limits import Limits
from edgeprep.workers.origin import Origin
from edgeprep.workers.waiting import Patience, Watch
from edgeprep.workers.wire import Bring, Reply, Request, Trouble, receive, send

__all__ = ["Worker", "connect"]

_CHILD = "edgeprep.workers.child"
_LAST_WORDS = 4096
_SHOWN = 200
# A process that was told to die is dead at once, unless a driver holds it inside the system.
_DYING_S = 1.0

# What a fork must not hold: a worker lives as long as the other end of its sockets.
_SOCKETS: "WeakSet[socket.socket]" = WeakSet()


def connect() -> tuple[socket.socket, socket.socket]:
    """Our end and the worker's."""
    ours, theirs = socket.socketpair()
    _SOCKETS.add(ours)
    return ours, theirs


class Worker:
    """A process of its own with one backend. Any number of threads may ask it.

    It starts at once, and is waited for when something is asked. It dies with this process,
    whatever it does. Its standard output goes nowhere; its last words are kept.

    Args:
        origin: where it finds the backend's class.
        name: the backend's.
        limits: what it may take.

    Attributes:
        died_in: the number of the runner that it worked for when it died; None: of none, or it
            lives.
        runners: how many it holds.

    Raises:
        OSError: the system starts no process.
    """

    def __init__(self, origin: Origin, *, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.died_in: int | None = None
        self.runners = 0
        self._where = f"backend {name!r}"
        self._parent = os.getpid()
        self._asking = RLock()
        self._dying = Lock()
        self._death: EdgePrepError | None = None
        self._is_brought = False
        self._words = b""
        self._connection, theirs = connect()
        self._lifeline, lifeline = connect()
        self.errors, errors = os.pipe()
        with theirs, lifeline, os.fdopen(errors):
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- this very Python, a program of ours
                    command(_CHILD, theirs.fileno(), lifeline.fileno(), limits.address_bytes),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(theirs.fileno(), lifeline.fileno()),
                    # What is typed at a terminal to stop the program is for the program alone; and
                    # what the engine starts, such as compilers, can be ended with it.
                    start_new_session=True,
                )
            except BaseException:
                for ours in (self._connection, self._lifeline):
                    ours.close()
                os.close(self.errors)
                raise
        os.set_blocking(self.errors, False)
        self.handle = _open_handle(self._process.pid)
        held = (self._connection, self._lifeline), (self.errors, self.handle)
        finalize(self, _let_go, self._process, *held, self._parent)
        self._watch = Watch(self, self._connection)
        with suppress(OSError):  # then it died at once, which is noticed when it is waited for
            send(self._connection, Bring(origin))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        """Whether it is known to be dead."""
        return self._death is not None

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
            return self._exchange(request, files, task=task, within_s=within_s, runner=runner)

    def wait_until_ready(self) -> None:
        """Wait until the backend is constructed.

        Raises:
            BackendUnavailable: a library that it needs is missing or cannot be imported.
            BackendError: it failed, or the worker died or took too long.
        """
        with self._asking:
            if self._is_brought:
                return
            try:
                self._exchange(None, (), task="start", within_s=self.limits.start_s, runner=None)
            except EdgePrepError as error:
                self.end(error)
                raise
            self._is_brought = True

    def _exchange(
        self,
        request: Request | None,
        files: Sequence[int],
        *,
        task: str,
        within_s: float,
        runner: int | None,
    ) -> Any:
        self.check_usable()
        patience, watch = Patience(task, within_s, runner), self._watch

        def wait() -> None:
            watch.wait(patience)

        try:
            if request is not None:
                send(self._connection, request, files)
            body = receive(self._connection, wait)
        except (EOFError, OSError) as error:
            raise self.mourn(task, runner) from error
        except BackendError:
            raise
        except BaseException:  # such as an interrupt: its answer would be taken for the next one's
            self.end(ClosedError(f"{self._where}: its worker must be left alone, got an interrupt"))
            raise
        reply = msgspec.msgpack.decode(body, type=Reply)
        if reply.trouble is not None:
            raise self.trouble(reply.trouble, task)
        return reply.value

    def check_usable(self) -> None:
        """Refuse a call after its death, or in a fork.

        Raises:
            BackendError: it is dead; why.
            ClosedError: it was ended.
            ForkedRunnerError: this process is a fork of the one that started it.
        """
        if os.getpid() != self._parent:
            raise ForkedRunnerError(
                f"{self._where}: its worker must be asked by the process that started it, "
                "got a fork"
            )
        if self._death is not None:
            raise _again(self._death)

    def trouble(self, trouble: Trouble, task: str) -> EdgePrepError:
        """What the backend raised there, to be raised here."""
        if trouble.out_of_memory:
            gib = self.limits.address_bytes / 2**30
            rule = f"must {task} in its worker, in {gib:.1f} GiB of addresses"
            return BackendOutOfMemory(f"{self._where}: {rule}, got {trouble.message}")
        if trouble.error in errors.__all__:
            error: EdgePrepError = getattr(errors, trouble.error)(trouble.message)
            return error
        return BackendError(f"{self._where}: must {task} in its worker, got {trouble.message}")

    def mourn(self, task: str, runner: int | None) -> EdgePrepError:
        """The worker is gone, or says so: why.

        Args:
            task: what it was asked for, for the message.
            runner: the number of the runner that it was asked for.
        """
        with self._dying:
            if self._death is not None:
                return _again(self._death)
            rule = f"must {task} in its worker, got the worker's death {self._how_it_ended()}"
            error = BackendCrashed(f"{self._where}: {rule}{self._last_words()}")
            return self._bury(error, runner)

    def give_up(self, patience: Patience) -> EdgePrepError:
        """End the worker, which did not answer in time: why, as `mourn`."""
        runner = patience.runner
        with self._dying:
            if self._death is not None:
                return _again(self._death)
            rule = f"must {patience.task} in its worker within {patience.within_s:g} s"
            rule = f"{self._where}: {rule}"
            if _is_stopped(self.pid):
                # Whoever stopped it, it is not the backend that is slow.
                return self._bury(BackendError(f"{rule}, got a worker that was stopped"), runner)
            words = self._last_words()
            return self._bury(BackendTimeout(f"{rule}, got no answer{words}"), runner)

    def end(self, reason: EdgePrepError | None = None) -> None:
        """End the process, at once; again, it does nothing.

        Args:
            reason: what later calls are told; None: that it was closed.
        """
        if os.getpid() != self._parent:
            return
        with self._dying:
            if self._death is None:
                closed = ClosedError(f"{self._where}: its worker must be open, got one that ended")
                self._bury(reason or closed, None)

    def drain(self) -> bool:
        """Whether there may be more to come of what it prints for people; keeps the last of it."""
        try:
            while part := os.read(self.errors, 65536):
                self._words = (self._words + part)[-_LAST_WORDS:]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _bury(self, error: EdgePrepError, runner: int | None) -> EdgePrepError:
        self.died_in = runner
        self._death = error
        _kill(self._process)
        self._connection.close()
        self._lifeline.close()
        return error

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_DYING_S)
        except subprocess.TimeoutExpired:
            return "to this process: it closed its connection"
        if code >= 0:
            return f"with exit status {code}"
        try:
            return f"by {signal.Signals(-code).name}"
        except ValueError:  # one of the unnamed ones, for real time
            return f"by signal {-code}"

    def _last_words(self) -> str:
        self.drain()
        lines = self._words.decode(errors="replace").strip().splitlines()
        return f"; its last words: {lines[-1].strip()[:_SHOWN]!r}" if lines else ""


def _open_handle(pid: int) -> int:
    """A file that can be read from once the process is dead; -1 where there are none such.

    Its connections end then, too, unless it has left them to processes of its own.
    """
    if not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:  # Linux before 5.3, or a sandbox
        return -1


def _is_stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal, where the system tells."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End it and what it has started, which may outlive it."""
    with suppress(OSError):  # then nothing of it is left
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    try:
        process.wait(THE_END.left_s(_DYING_S))
    except subprocess.TimeoutExpired:
        # A driver holds it: it will die when that lets go, and is waited for by nobody.
        process.returncode = -signal.SIGKILL


def _let_go(
    process: "subprocess.Popen[bytes]",
    connections: Iterable[socket.socket],
    files: Iterable[int],
    parent: int,
) -> None:
    """What is due when nobody has a worker any more, or Python ends; a fork leaves it alone."""
    if os.getpid() == parent:
        # NOTE: not twice, as its number may be somebody else's by now.
        if process.returncode is None:
            _kill(process)
        for connection in connections:
            connection.close()
        for file in files:
            if file >= 0:
                os.close(file)


def _again(error: EdgePrepError) -> EdgePrepError:
    """One for each thread that raises it: a traceback belongs to one."""
    return type(error)(*error.args)


def _close_in_fork() -> None:
    for connection in list(_SOCKETS):
        connection.close()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_close_in_fork)
