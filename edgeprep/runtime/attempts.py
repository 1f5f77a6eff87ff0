"""Marks of processes that load an engine: one that outlives its process tells of its death."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from time import time

import msgspec
from msgspec import Struct

from edgeprep.errors import StorageError
from edgeprep.last_moment import THE_END
from edgeprep.monitor import Event
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.choices import cache_directory
from edgeprep.runtime.private_files import find_folder, find_private, write_private
from edgeprep.version import __version__

__all__ = ["Attempts"]

_OLD_S = 24 * 3600.0
# Marks that this process has set, and its number, which a fork has not.
_SET: set[tuple[str, int]] = set()


class _Mark(Struct, frozen=True, kw_only=True):
    """Who loads what.

    Attributes:
        candidate: what is loaded.
        pid: the number of the process.
        started: when it started, in the system's ticks, as numbers are used again.
        boot: which start of the system that was in.
        room: which of the system's containers knows the process by that number.
    """

    candidate: Candidate
    pid: int
    started: str
    boot: str
    room: str


class Attempts:
    """The attempts to load candidates of one bundle in the process that uses them.

    Where nothing can be written, there are no marks, and nothing is told of the dead.

    Args:
        bundle: the digest of the bundle.
        tell: called with what is there and cannot be used.
    """

    def __init__(self, bundle: str, tell: Callable[[Event], object]) -> None:
        self._tell = tell
        self._prefix = sha256(f"{__version__}\n{bundle}".encode()).hexdigest()[:32]

    @contextmanager
    def mark(self, candidate: Candidate) -> Iterator[None]:
        """In the block, `candidate` is loaded; whatever ends it but death takes the mark away."""
        mark = _Mark(candidate=candidate, pid=os.getpid(), **_here(os.getpid()))
        path = None
        try:
            path = os.path.join(_directory(), f"{self._prefix}-{os.urandom(4).hex()}.json")
            # NOTE: not durable, as to synchronise it takes longer than to load: what counts is that
            # it outlives the process.
            write_private(path, self._prefix, msgspec.json.encode(mark), durable=False)
            _SET.add((path, mark.pid))
        except (OSError, StorageError):
            path = None
        try:
            yield
        finally:
            if path is not None:
                _take_away(path, mark.pid)

    def dead(self) -> list[Candidate]:
        """What processes were loading when they died; each death is told of once."""
        found = []
        with suppress(OSError, StorageError):
            directory = _directory()
            if find_folder(directory, self._say):
                for name in os.listdir(directory):
                    if name.startswith(self._prefix):
                        found += self._look(os.path.join(directory, name))
        return found

    def _look(self, path: str) -> list[Candidate]:
        body = find_private(path, self._prefix, self._say)
        if body is None:  # such as that another process has told of it
            return []
        try:
            mark = msgspec.json.decode(body, type=_Mark)
        except msgspec.DecodeError:
            return self._take(path, None)
        now = _here(mark.pid)
        if now["boot"] == mark.boot and now["room"] != mark.room:
            # One of another container, of which nothing is known here.
            return self._take(path, None) if _age_s(path) > _OLD_S else []
        is_alive = now["boot"] == mark.boot and now["started"] == mark.started
        return [] if is_alive else self._take(path, mark.candidate)

    def _take(self, path: str, candidate: Candidate | None) -> list[Candidate]:
        try:
            os.unlink(path)
        except OSError:
            return []
        return [] if candidate is None else [candidate]

    def _say(self, reason: str) -> None:
        message = f"{reason}, whether a process died is not known"
        self._tell(Event(kind="cache", message=message))


def _take_away(path: str, pid: int) -> None:
    _SET.discard((path, pid))
    with suppress(OSError):
        os.unlink(path)


def _take_all_away() -> None:
    """The program ends, whatever is loaded meanwhile by threads that die with it."""
    for path, pid in list(_SET):
        if pid == os.getpid():
            _take_away(path, pid)


THE_END.add("marks", _take_all_away)


def _directory() -> str:
    return os.path.join(cache_directory(), "attempts")


def _here(pid: int) -> dict[str, str]:
    """What tells the process `pid` from all others; its start is "" where there is none."""
    return {
        "started": _started(pid),
        "boot": _text("/proc/sys/kernel/random/boot_id"),
        "room": _link("/proc/self/ns/pid"),
    }


def _started(pid: int) -> str:
    if not os.path.exists("/proc/self/stat"):
        return "alive" if _is_alive(pid) else ""
    # The name of the program, in brackets, may hold anything.
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # A zombie runs nothing any more.
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _age_s(path: str) -> float:
    try:
        return abs(time() - os.stat(path).st_mtime)
    except OSError:
        return 0.0
