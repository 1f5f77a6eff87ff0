"""A Python process that serves this one, and ends with it.

What an engine starts in it, such as compilers, is in its group of processes, and is killed with
that. A program that leaves the group, as daemons do, outlives both: namespaces and control groups
would end it, and ask for rights that applications have not. To be the one that gets such orphans
(PR_SET_CHILD_SUBREAPER) helps only who still lives to kill them, and would bring the application
those of its other libraries, too.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakSet, finalize

from edgeprep.last_moment import THE_END
from edgeprep.workers.interpreter import command

__all__ = ["Process", "connect"]

_LAST_WORDS = 4096
_SHOWN = 200
# A process that was told to die is dead at once, unless a driver holds it inside the system.
_DYING_S = 1.0

# What a fork must not hold: a process lives as long as the other end of its sockets.
_SOCKETS: "WeakSet[socket.socket]" = WeakSet()
_ALL: "WeakSet[Process]" = WeakSet()


def connect() -> tuple[socket.socket, socket.socket]:
    """Our end and the other one's."""
    ours, theirs = socket.socketpair()
    _SOCKETS.add(ours)
    return ours, theirs


class Process:
    """A process of its own; it starts at once, and dies with this one, whatever it does.

    Its standard output goes nowhere; the last of what it prints for people is kept.

    Args:
        module: whose `main` is called there, with the numbers of two open sockets and `arguments`,
            all as text. At the first it is spoken to; the other end of the second one is closed
            when this process is gone.
        arguments: for its `main`.

    Attributes:
        parent: the number of the process that started it.
        connection: our end of the first socket.
        errors: a file from which can be read what it prints for people.
        handle: a file that can be read from once it is dead; -1 where there are none such.

    Raises:
        OSError: the system starts no process.
    """

    def __init__(self, module: str, *arguments: object) -> None:
        self.parent = os.getpid()
        self._words = b""
        self.connection, theirs = connect()
        self._lifeline, lifeline = connect()
        self.errors, errors = os.pipe()
        with theirs, lifeline, os.fdopen(errors):
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- this very Python, a program of ours
                    command(module, theirs.fileno(), lifeline.fileno(), *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(theirs.fileno(), lifeline.fileno()),
                    # What is typed at a terminal to stop the program is for the program alone; and
                    # what the engine starts can be ended with it.
                    start_new_session=True,
                )
            except BaseException:
                for ours in (self.connection, self._lifeline):
                    ours.close()
                os.close(self.errors)
                raise
        os.set_blocking(self.errors, False)
        self.handle = _open_handle(self._process.pid)
        held = (self.connection, self._lifeline), (self.errors, self.handle)
        # At the end of the program by `_end_all`, when nobody waits for it any more.
        finalize(self, _let_go, self._process, *held, self.parent).atexit = False
        _ALL.add(self)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped by a signal, where the system tells."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] in ("T", "t")
        except OSError:
            return False

    def end(self) -> None:
        """End it, at once, and what it has started."""
        _kill(self._process)
        self.connection.close()
        self._lifeline.close()

    def how_it_ended(self) -> str:
        """What became of it, which is gone or says so, such as "by SIGSEGV"."""
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

    def last_words(self) -> str:
        """The last line that it printed for people; "" where there is none."""
        self.drain()
        lines = self._words.decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:_SHOWN] if lines else ""


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
    """What is due when nobody has it any more; a fork leaves it alone."""
    if os.getpid() == parent:
        # NOTE: not twice, as its number may be somebody else's by now.
        if process.returncode is None:
            _kill(process)
        for connection in connections:
            connection.close()
        for file in files:
            if file >= 0:
                os.close(file)


def _end_all() -> None:
    """What is due when the program ends; a fork leaves alone what it has not started."""
    for started in list(_ALL):
        # NOTE: our ends stay open, as threads may be waiting at them.
        _let_go(started._process, (), (), started.parent)


THE_END.add("processes", _end_all)


def _close_in_fork() -> None:
    for connection in list(_SOCKETS):
        connection.close()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_close_in_fork)
