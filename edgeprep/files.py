"""Opening and writing files so that no hang and no half-written file can come of it."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from edgeprep.errors import OutputExists, OutputRefused, StorageError

__all__ = ["atomic_open", "atomic_write", "check_no_input", "check_output", "open_regular"]

# What link(2) answers where the file system has no hard links, such as FAT on a memory card.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link"),
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """`path`, opened for reading bytes; pipes, devices and directories are refused at once.

    Raises:
        StorageError: the file is missing, may not be read, or is not a regular file.
    """
    path = os.fspath(path)
    try:
        stream = cast(BinaryIO, open(path, "rb", opener=_open_without_waiting))  # noqa: SIM115
    except IsADirectoryError as error:
        raise StorageError(f"{path}: must be a regular file, got a directory") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: must be a file that can be read, got {_why(error)}") from error
    mode = os.fstat(stream.fileno()).st_mode
    if not stat.S_ISREG(mode):
        stream.close()
        raise StorageError(f"{path}: must be a regular file, got {_kind(mode)}")
    return stream


def atomic_write(
    path: str | os.PathLike[str],
    chunks: Iterable[bytes],
    *,
    overwrite: bool = False,
    size_bytes: int | None = None,
    check: Callable[[BinaryIO], object] | None = None,
) -> None:
    """Write `chunks` to `path` so that it appears whole, or not at all.

    As `atomic_open`, of which the arguments are:

    Args:
        path: where the file shall appear. Its directory must exist.
        chunks: the content, in order.
        overwrite: whether a file that is there already may be replaced.
        size_bytes: how much `chunks` amount to, for the message when the disk is full.
        check: called with the written file, opened for reading, before it takes its name;
            if it raises, nothing appears.

    Raises:
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written: no such directory, disk full, no permission.
    """
    with atomic_open(path, overwrite=overwrite, size_bytes=size_bytes, check=check) as stream:
        for chunk in chunks:
            stream.write(chunk)


@contextmanager
def atomic_open(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    size_bytes: int | None = None,
    check: Callable[[BinaryIO], object] | None = None,
) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes the name `path` whole when the block ends.

    The bytes go to a temporary file in the same directory, are synchronised to the disk, and then
    take the name `path`. Whatever ends the block early, an interrupt included, the temporary file
    is removed and what was at `path` before is untouched. A link at `path` is replaced, not
    followed.

    Raises:
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written: no such directory, disk full, no permission.
    """
    path = os.fspath(path)
    check_output(path, overwrite=overwrite)
    directory = _directory_of(path)
    # A short name of its own: that of `path` may already be as long as the file system allows.
    temporary = os.path.join(directory, f".edgeprep-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if check is not None:
            with open_regular(temporary) as written:
                check(written)
        if overwrite:
            os.replace(temporary, path)
        else:
            _name_without_replacing(temporary, path)
        _synchronise_directory(directory)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(_cannot_write(path, error, size_bytes)) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def check_output(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse what `atomic_write` would refuse, before the work that makes the content.

    Raises:
        OutputExists: `path` is there already, and `overwrite` is False.
        OutputRefused: its directory is missing, or what is there is no regular file.
        StorageError: that cannot be looked for.
    """
    path = os.fspath(path)
    try:
        if not _is_directory(directory := _directory_of(path)):
            raise OutputRefused(f"{path}: must lie in an existing directory, got {directory!r}")
        mode = os.lstat(path).st_mode
    except StorageError:
        raise
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StorageError(_cannot_write(path, error, None)) from error
    # Renaming over a device, as root, would replace the device.
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise OutputRefused(f"{path}: must be a regular file, got {_kind(mode)}")
    if not overwrite:
        raise _exists(path)


def check_no_input(path: str | os.PathLike[str], file: str | os.PathLike[str]) -> None:
    """Refuse to replace `file`, which is read.

    Raises:
        OutputRefused: `path` is that file.
    """
    if os.path.realpath(path) == os.path.realpath(file):
        raise OutputRefused(f"{os.fspath(path)}: must be another file than what is read, got it")


def _open_without_waiting(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe waits for a writer that may never come.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _name_without_replacing(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        check_output(path, overwrite=False)
        os.replace(temporary, path)


def _synchronise_directory(directory: str) -> None:
    # Windows cannot open a directory, and needs no synchronising of it.
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _directory_of(path: str) -> str:
    return os.path.dirname(path) or "."


def _exists(path: str) -> OutputExists:
    return OutputExists(f"{path}: already exists; pass --overwrite (overwrite=True) to replace it")


def _cannot_write(path: str, error: Exception, size_bytes: int | None) -> str:
    message = f"{path}: must be a file that can be written, got {_why(error)}"
    if not isinstance(error, OSError) or error.errno not in _DISK_FULL:
        return message
    # Here, as it loads all of the compression modules, and a device opens this file at every start.
    import shutil

    need = "" if size_bytes is None else f"needs {size_bytes} bytes, "
    return f"{message}; {need}{shutil.disk_usage(_directory_of(path)).free} bytes are free"


def _why(error: Exception) -> str:
    return repr(getattr(error, "strerror", None) or str(error))


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "something else")
