"""Steps that outlive a kill: each in a directory that is named by all that it depends on."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import time

from edgeprep.alone import lock_file
from edgeprep.errors import StorageError
from edgeprep.runtime.choices import cache_directory

__all__ = ["Steps", "keep_only"]

# What was not looked at for so many steps is thrown away, and so is what does not fit beside those
# that were: a step may hold weights and optimizers.
_KEPT = 64
_MOST_BYTES = 4_000_000_000
# What a kill ended is what the next run goes on with; nobody does so after a week.
_RESUMED_SECONDS = 7 * 24 * 3600


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
        directory = self._root()
        with ExitStack() as stack:
            place = _place(directory, key, scratch, stack)
            is_new = key not in self._opened
            self._opened.add(key)
            for old in place.iterdir() if self._fresh and is_new else ():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            stack.callback(_throw_away, directory)
            stack.enter_context(_under_way(place.with_suffix(".lock")))
            yield place

    @contextmanager
    def claim(self, key: str, rule: str) -> Iterator[None]:
        """Inside, no other process that has the same cache directory claims `key`.

        Args:
            key: the digest of what two processes cannot work on together.
            rule: what the message begins with: where, and that there must be one at a time.

        Raises:
            StorageError: another process has claimed it.
        """
        free = True
        with ExitStack() as stack:
            # Files appear whole all the same: a cache that cannot be written is for `open` to tell.
            with suppress(OSError):
                path = self._root() / f"{key}.lock"
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if free := lock_file(path, stack):
                    stack.callback(path.unlink, missing_ok=True)
            if not free:
                raise StorageError(f"{rule}, got another one under way; wait for its end")
            yield

    def _root(self) -> Path:
        return self._directory or Path(cache_directory()) / "steps"


def keep_only(*kept: Path) -> None:
    """Remove all that lies beside `kept`, of one step: what it did on the way to its result."""
    for other in kept[0].parent.iterdir():
        if other not in kept:
            shutil.rmtree(other, ignore_errors=True) if other.is_dir() else other.unlink()


def _place(directory: Path, key: str, scratch: Path, stack: ExitStack) -> Path:
    """The directory of a step; what keeps others out is let go of with `stack`."""
    place = directory / key
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lock_file(place.with_suffix(".lock"), stack):
            place = scratch / key
        # Now, as another process may have thrown it away until a moment ago.
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        rule = "must be a directory that can be written, for steps that go on after a kill"
        raise StorageError(
            f"{error.filename or directory}: {rule}, got {error.strerror!r}; set EDGEPREP_CACHE"
        ) from error
    return place


@contextmanager
def _under_way(lock: Path) -> Iterator[None]:
    """Inside, and ever after where a signal or a kill ends it, `lock` says so by what it holds."""
    with suppress(OSError):
        lock.write_text("under way")
    try:
        yield
    except Exception:
        _end(lock)
        raise
    _end(lock)


def _end(lock: Path) -> None:
    with suppress(OSError):
        lock.write_text("")


def _throw_away(directory: Path) -> None:
    """Remove the steps that were not used for longest, which are too many or too large.

    What was killed not long ago is neither removed nor counted.
    """
    known, now = [], time()
    for lock in directory.glob("*.lock"):
        with suppress(OSError):
            about = lock.stat()
            if not about.st_size or now - about.st_mtime > _RESUMED_SECONDS:
                known.append((about.st_mtime, lock))
    bytes_ = 0
    for index, (_, lock) in enumerate(sorted(known, reverse=True)):
        place = lock.with_suffix("")
        bytes_ += _size(place)
        if index < _KEPT and bytes_ <= _MOST_BYTES:
            continue
        # Another process may be at it, or be quicker to remove it.
        with suppress(OSError), ExitStack() as stack:
            if lock_file(lock, stack):
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
