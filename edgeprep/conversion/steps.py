"""Steps that outlive a kill: each in a directory that is named by all that it depends on."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgeprep.errors import StorageError
from edgeprep.runtime.choices import cache_directory

__all__ = ["Steps"]

# What was not looked at for so many steps is thrown away, and so is what does not fit beside those
# that were: a step may hold weights and optimizers.
_KEPT = 64
_MOST_BYTES = 4_000_000_000


class Steps:
    """The results of long steps, and what they had done when they were killed.

    Args:
        directory: where they lie; None: `steps` in the cache directory.
        fresh: whether what was kept is thrown away when its step is opened here for the first time.
    """

    def __init__(self, directory: Path | None = None, *, fresh: bool = False) -> None:
        self._directory = directory
        self._fresh = fresh
        self._opened: set[str] = set()

    @contextmanager
    def open(self, key: str, scratch: Path) -> Iterator[Path]:
        """The directory of the step `key`, an existing one, which no other process works in.

        Args:
            key: the digest of all that the step depends on.
            scratch: where a directory is made if another process is at this very step, which then
                is done twice.

        Raises:
            StorageError: it cannot be made.
        """
        directory = self._directory or Path(cache_directory()) / "steps"
        with ExitStack() as stack:
            place = _place(directory, key, scratch, stack)
            is_new = key not in self._opened
            self._opened.add(key)
            for old in place.iterdir() if self._fresh and is_new else ():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            stack.callback(_throw_away, directory)
            yield place


def keep_only(kept: Path) -> None:
    """Remove all that lies beside `kept`: what a step did on the way to its result."""
    for other in kept.parent.iterdir():
        if other != kept:
            shutil.rmtree(other, ignore_errors=True) if other.is_dir() else other.unlink()


def _place(directory: Path, key: str, scratch: Path, stack: ExitStack) -> Path:
    """The directory of a step; what keeps others out is let go of with `stack`."""
    place = directory / key
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _locked(place.with_suffix(".lock"), stack):
            place = scratch / key
        # Now, as another process may have thrown it away until a moment ago.
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        rule = "must be a directory that can be written, for steps that go on after a kill"
        raise StorageError(
            f"{error.filename or directory}: {rule}, got {error.strerror!r}; set EDGEPREP_CACHE"
        ) from error
    return place


def _locked(path: Path, stack: ExitStack) -> bool:
    """Whether this process has the lock at `path`, until `stack` ends."""
    while True:
        with ExitStack() as attempt:
            lock = attempt.enter_context(path.open("w"))
            if not _alone(lock.fileno()):
                return False
            # Who throws a step away removes its lock, which may have been open here by then: what
            # has no name keeps nobody out.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    os.utime(path)
                    stack.enter_context(attempt.pop_all())
                    return True


def _alone(lock: int) -> bool:
    """Whether this process has `lock`, which the system lets go of when the process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _throw_away(directory: Path) -> None:
    """Remove the steps that were not used for longest, which are too many or too large."""
    known = []
    for lock in directory.glob("*.lock"):
        with suppress(OSError):
            known.append((lock.stat().st_mtime, lock))
    bytes_ = 0
    for index, (_, lock) in enumerate(sorted(known, reverse=True)):
        place = lock.with_suffix("")
        bytes_ += _size(place)
        if index < _KEPT and bytes_ <= _MOST_BYTES:
            continue
        # Another process may be at it, or be quicker to remove it.
        with suppress(OSError), lock.open("r+") as file:
            if _alone(file.fileno()):
                shutil.rmtree(place, ignore_errors=True)
                lock.unlink()


def _size(place: Path) -> int:
    """The bytes of all files below `place`, which another process may be removing."""
    bytes_ = 0
    for path in place.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                bytes_ += path.stat().st_size
    return bytes_
