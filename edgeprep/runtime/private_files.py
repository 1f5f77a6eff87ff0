"""Files of this user alone: used as they were written and by whom, or not at all.

All that is remembered between processes is kept in such ones. Each has a digest, over its content
and over the key that says what it is of.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from time import time

__all__ = [
    "find_folder",
    "find_private",
    "prepare_folder",
    "read_private",
    "sweep",
    "why",
    "write_private",
]

_TEMPORARY = ".tmp"
# Where files cannot be locked, so old a temporary one belongs to nobody.
_ABANDONED_S = 3600.0


def prepare_folder(folder: str) -> None:
    """Make the directory `folder` for this user alone, unless it is there.

    Raises:
        OSError: it cannot be made.
        PermissionError: somebody else may write to it or read it.
    """
    with suppress(FileExistsError):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    _check_folder(folder)


def find_folder(folder: str, tell: Callable[[str], object]) -> bool:
    """Whether `folder` is there and may be used; what killed processes left in it is removed.

    Args:
        folder: which directory.
        tell: called with why one that is there is not used.
    """
    if not os.path.lexists(folder):
        return False
    try:
        _check_folder(folder)
        sweep(folder)
    except OSError as error:
        tell(why(error))
        return False
    return True


def find_private(path: str, key: str, tell: Callable[[str], object]) -> bytes | None:
    """The content of `path`; None where there is none, or none that may be used.

    Args:
        path: where it is, in a directory of which `find_folder` is asked.
        key: what it was written for.
        tell: called with why something that is there is not used, after which it is removed.
    """
    if not find_folder(os.path.dirname(path), tell):
        return None
    try:
        return read_private(path, key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        tell(f"{path}: {why(error)}")
        with suppress(OSError):
            os.unlink(path)
        return None


def read_private(path: str, key: str) -> bytes:
    """The content of the file at `path`, whose directory was prepared.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read; a link is not followed.
        ValueError: it is not this user's alone, or not as it was written.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if not _is_private(found):
            raise ValueError("it is not a file of this user alone")
        digest, _, body = file.read().partition(b"\n")
        if digest != _digest(key, body):
            raise ValueError("it is damaged")
        return body


def write_private(path: str, key: str, body: bytes, *, durable: bool) -> None:
    """Write `body` to `path`, of whose directory `prepare_folder` is asked; whole, or not at all.

    Args:
        path: where.
        key: what it is of.
        body: the content.
        durable: whether it must outlive a power cut. Else it is not synchronised to the disk, which
            takes long: what a power cut leaves of it is found out by the digest.

    Raises:
        OSError: it cannot be written, or others may write beside it.
    """
    folder = os.path.dirname(path)
    prepare_folder(folder)
    with _temporary(folder) as (descriptor, temporary):
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(_digest(key, body) + b"\n")
            file.write(body)
        if durable:
            os.fsync(descriptor)
        os.replace(temporary, path)


def sweep(folder: str) -> None:
    """Remove the temporary files of processes that were killed.

    Raises:
        OSError: the directory cannot be read.
    """
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


def why(error: Exception) -> str:
    """What `error` says, without numbers and names."""
    return getattr(error, "strerror", None) or str(error)


def _check_folder(folder: str) -> None:
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{folder}: must be a directory, got something else")
    if not _is_private(found):
        raise PermissionError(f"{folder}: must be a directory of this user alone")


def _is_private(found: os.stat_result) -> bool:
    # Windows has neither owners by number nor modes, and its homes are their users' alone.
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _digest(key: str, body: bytes) -> bytes:
    hashed = sha256(key.encode())
    hashed.update(body)
    return hashed.hexdigest().encode()


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
