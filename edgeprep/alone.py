"""One process at a time: locks that the system lets go of when a process ends, even killed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgeprep.errors import StorageError

__all__ = ["alone_in", "lock_file"]

_held = set[int]()


@contextmanager
def alone_in(directory: Path, work: str) -> Iterator[None]:
    """Inside, no other process does `work` in `directory`.

    Args:
        directory: an existing one.
        work: in a word, such as "training", for the message.

    Raises:
        StorageError: another process does it there, or it cannot be opened.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        rule = "must be a directory that can be read"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
    with _holding(descriptor):
        free = True
        # A file system may have no locks of directories, such as NFS: no reason not to work.
        with suppress(OSError):
            free = _take(descriptor)
        if not free:
            raise StorageError(
                f"{directory}: one {work} at a time may work in it, got another one under way; "
                "wait for its end, or name another directory"
            )
        yield


def lock_file(path: Path, stack: ExitStack) -> bool:
    """Whether this process has the lock at `path`, until `stack` ends.

    Args:
        path: it is made where it is not there, and may be removed by whoever has the lock.
        stack: lets go of it.

    Raises:
        OSError: it cannot be opened, or the file system has no locks.
    """
    while True:
        with ExitStack() as attempt:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            attempt.enter_context(_holding(descriptor))
            if not _take(descriptor):
                return False
            # Who had it before may have removed it, while it was open here by then: what has no
            # name keeps nobody out.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    os.utime(path)
                    stack.enter_context(attempt.pop_all())
                    return True


@contextmanager
def _holding(descriptor: int) -> Iterator[None]:
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            # Said aloud, as a child that was started a moment ago still has it, too.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go() -> None:
    # A child that outlives its parent would keep the lock, and nobody could go on.
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
