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

# What was not looked at for so many steps is thrown away: a step may hold weights and optimizers.
_KEPT = 64


class Steps:
    """The results of long steps, and what they had done when they were killed.

    Args:
        directory: where they lie; None: `steps` in the cache directory.
        fresh: whether what was kept is thrown away when its step is opened.
    """

    def __init__(self, directory: Path | None = None, *, fresh: bool = False) -> None:
        self._directory = directory
        self._fresh = fresh

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
        with ExitStack() as stack:
            place = _place(
                self._directory or Path(cache_directory()) / "steps", key, scratch, stack
            )
            for old in place.iterdir() if self._fresh else ():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            yield place


def _place(directory: Path, key: str, scratch: Path, stack: ExitStack) -> Path:
    """The directory of a step; what keeps others out is let go of with `stack`."""
    place = directory / key
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = stack.enter_context(place.with_suffix(".lock").open("w"))
        if not _alone(lock.fileno()):
            place = scratch / key
            place.mkdir(exist_ok=True)
            return place
        os.utime(lock.name)
        _throw_away(directory)
    except OSError as error:
        rule = "must be a directory that can be written, for steps that go on after a kill"
        raise StorageError(
            f"{error.filename or directory}: {rule}, got {error.strerror!r}; set EDGEPREP_CACHE"
        ) from error
    return place


def _alone(lock: int) -> bool:
    """Whether this process has `lock`, which the system lets go of when the process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _throw_away(directory: Path) -> None:
    """Remove the steps that were not used for longest."""
    locks = [(lock.stat().st_mtime, lock) for lock in directory.glob("*.lock")]
    for _, lock in sorted(locks, reverse=True)[_KEPT:]:
        # Another process may be at it, or be quicker to remove it.
        with suppress(OSError), lock.open("w") as file:
            if _alone(file.fileno()):
                shutil.rmtree(lock.with_suffix(""))
                lock.unlink()
