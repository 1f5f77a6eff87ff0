"""One training in a directory at a time: two would overwrite what the other one keeps."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeprep.errors import StorageError

__all__ = ["alone_in"]

_held = set[int]()


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Inside, no other process trains in `directory`; the system lets go of it after a kill.

    Raises:
        StorageError: another training is under way there, or it cannot be opened.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        rule = "must be a directory that can be read"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
    _held.add(descriptor)
    try:
        _lock(descriptor, directory)
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            # Said aloud, as a child that was started a moment ago still has it, too.
            _unlock(descriptor)
            os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(
            f"{directory}: one training at a time may work in it, got another one under way; "
            "wait for its end, or name another directory"
        ) from error
    except OSError:
        # A file system may have no locks of directories, such as NFS: no reason not to train.
        return


def _unlock(descriptor: int) -> None:
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _let_go() -> None:
    # A child that outlives its parent would keep the lock, and nobody could go on.
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
