"""What engines have compiled, kept in the user's cache directory, and used only as it was written.

A compiled form is a model that nobody has signed: engines load damaged ones, and compute with them.
Hence a digest of each, files that are this user's alone, and golden samples after every load.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from time import time

from edgeprep.errors import EdgePrepError
from edgeprep.interfaces import Runner
from edgeprep.monitor import Event
from edgeprep.runtime.candidates import Reachable
from edgeprep.runtime.choices import cache_directory
from edgeprep.runtime.machine import fingerprint
from edgeprep.version import __version__

__all__ = ["CompiledForms", "is_wanted"]

_VARIABLE = "EDGEPREP_COMPILE_CACHE"
_FOLDER = "compiled"
_SUFFIX = ".form"
_TEMPORARY = ".tmp"
# Forms of models that were replaced are never asked for again: the longest unused go first.
_MOST_BYTES = 1 << 30
# Where files cannot be locked, so old a temporary one belongs to nobody.
_ABANDONED_S = 3600.0


def is_wanted() -> bool:
    """Whether forms may be kept: EDGEPREP_COMPILE_CACHE=0 says that they may not."""
    return os.environ.get(_VARIABLE) != "0"


class CompiledForms:
    """The compiled forms of one bundle's models.

    What cannot be used or kept is told, and never an error: the model is compiled again.

    Args:
        digest: the bundle's.
        tell: called with an event.
        directory: where files lie; None: `compiled` in the cache directory.
    """

    def __init__(
        self, digest: str, tell: Callable[[Event], object], directory: str | None = None
    ) -> None:
        self._digest = digest
        self._tell = tell
        self._directory = directory
        self._is_swept = False
        self._said: set[str] = set()

    def find(self, reachable: Reachable) -> bytes | None:
        """What was compiled of `reachable` before; None where there is nothing to be used."""
        place = self._place(reachable)
        if place is None:
            return None
        path, key = place
        try:
            body = _read(path, key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._say(reachable, f"{path}: {_why(error)}, the model is compiled again")
            with suppress(OSError):
                os.unlink(path)
            return None
        return body or None

    def keep(self, reachable: Reachable, runner: Runner) -> None:
        """Keep what the engine compiled for `runner`, which has reproduced the golden samples.

        Unless something is kept already, be it that its compiled form is of no use.
        """
        place = self._place(reachable)
        if place is None or os.path.lexists(place[0]):
            return
        try:
            compiled = runner.compiled()
            if compiled:
                self._write(*place, compiled)
        except (OSError, EdgePrepError) as error:
            self._say(reachable, f"the compiled model cannot be kept: {_why(error)}")

    def refuse(self, reachable: Reachable, reason: str) -> None:
        """What was found is as it was written, and of no use: this engine's is not kept again."""
        self._say(reachable, f"its compiled model is of no use, it is compiled again: {reason}")
        place = self._place(reachable)
        if place is not None:
            with suppress(OSError):
                self._write(*place, b"")

    def _place(self, reachable: Reachable) -> tuple[str, str] | None:
        """The file, and its key; None where the engine compiles nothing or nothing may be kept."""
        if not is_wanted():
            return None
        try:
            facts = reachable.backend.compiled_for(reachable.device)
            if facts is None:
                return None
            folder = self._directory or os.path.join(cache_directory(), _FOLDER)
            self._prepare(folder)
        except Exception as error:  # noqa: BLE001 -- an engine may fail in any way
            self._say(reachable, f"compiled models are not kept: {_why(error)}")
            return None
        candidate = reachable.candidate
        words = (
            __version__,
            _machine(),
            self._digest,
            candidate.variant,
            candidate.backend,
            candidate.device,
            repr(sorted(candidate.options.items())),
            facts,
            # What oneDNN may use of the processor.
            *(f"{key}={os.environ[key]}" for key in sorted(os.environ) if key.startswith("ONEDNN")),
        )
        key = sha256("\0".join(words).encode()).hexdigest()
        return os.path.join(folder, f"{key[:32]}{_SUFFIX}"), key

    def _prepare(self, folder: str) -> None:
        """Make the directory, refuse one that is another user's, clear away what was left.

        Raises:
            OSError: it cannot be made.
            PermissionError: somebody else may write to it.
        """
        with suppress(FileExistsError):
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(f"{folder}: must be a directory, got something else")
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{folder}: must be a directory of this user alone")
        if not self._is_swept:
            self._is_swept = True
            _sweep(folder)

    def _write(self, path: str, key: str, compiled: bytes) -> None:
        with _temporary(os.path.dirname(path)) as (descriptor, temporary):
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(_digest(key, compiled).encode() + b"\n")
                file.write(compiled)
            # Not synchronised to the disk, which takes long: what a power cut leaves of it is
            # found out by the digest.
            os.replace(temporary, path)
        _shrink(os.path.dirname(path))

    def _say(self, reachable: Reachable, message: str) -> None:
        candidate = str(reachable.candidate)
        if message in self._said:
            return
        self._said.add(message)
        self._tell(Event(kind="cache", message=f"{candidate}: {message}", candidate=candidate))


def _read(path: str, key: str) -> bytes:
    """The compiled form in the file at `path`.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        ValueError: it is not this user's alone, or not as it was written.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ValueError("it is not a file of this user alone")
        digest, _, body = file.read().partition(b"\n")
        if digest != _digest(key, body).encode():
            raise ValueError("it is damaged")
        with suppress(OSError):
            os.utime(file.fileno())  # it was used, and is not the first to go
        return body


def _digest(key: str, body: bytes) -> str:
    hashed = sha256(key.encode())
    hashed.update(body)
    return hashed.hexdigest()


@contextmanager
def _temporary(folder: str) -> Iterator[tuple[int, str]]:
    """A file for this user alone, open and locked until the block ends; gone if not renamed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    while True:
        path = os.path.join(folder, f".{os.urandom(8).hex()}{_TEMPORARY}")
        descriptor = os.open(path, flags, 0o600)
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)  # before it was locked, another process took it for abandoned
    try:
        yield descriptor, path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.close(descriptor)


def _sweep(folder: str) -> None:
    """Remove the temporary files of processes that were killed."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if entry.name.endswith(_TEMPORARY)]
    for path in found:
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                locked = _lock(descriptor)
                age = time() - os.fstat(descriptor).st_mtime
                if locked or (locked is None and age > _ABANDONED_S):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the file is this process's now; None where files cannot be locked."""
    try:
        import fcntl  # here, as Windows has none
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _shrink(folder: str) -> None:
    """Remove what was not used for longest, until what is left is not too much."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [(entry.stat(), entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        total = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda item: item[0].st_mtime):
            if total <= _MOST_BYTES:
                break
            os.unlink(path)
            total -= status.st_size


@cache
def _machine() -> str:
    return fingerprint(())


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
