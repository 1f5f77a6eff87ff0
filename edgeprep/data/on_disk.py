"""Arrays that lie on the disk, not in memory."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import StorageError

__all__ = ["map_rows", "rows_on_disk", "temporary_files", "unnamed_file", "write_rows"]


def rows_on_disk(parts: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """`parts`, one after the other, as one array that is read from a file when it is looked at.

    The file has no name: nothing stays of it when the last view of the array is gone, nor when the
    process is killed.

    Args:
        parts: at least one, `(rows, …)`, uint8, C-contiguous, with the same `…`. Only one of them
            is held at a time.

    Returns:
        `(rows of all parts, …)`, uint8. What is written to it is kept in memory.

    Raises:
        StorageError: the file cannot be written.
    """
    with unnamed_file() as file:
        return map_rows(file, write_rows(file, parts))


@contextmanager
def unnamed_file() -> Iterator[BinaryIO]:
    """A temporary file without a name; what was mapped of it stays when it is closed.

    Raises:
        StorageError: it cannot be made.
    """
    with temporary_files():
        # Unbuffered, as closing a file writes its buffer and fails a second time.
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed two lines below
    with file:
        yield file


def write_rows(file: BinaryIO, parts: Iterable[NDArray[np.uint8]]) -> tuple[int, ...]:
    """Write `parts` to `file`, as `rows_on_disk` does: the shape of them all together.

    Raises:
        StorageError: the file cannot be written.
    """
    rows, shape = 0, tuple[int, ...]()
    for part in parts:
        with temporary_files():
            _write(file, part.data.cast("B"))
        rows, shape = rows + len(part), part.shape[1:]
    return (rows, *shape)


def map_rows(file: BinaryIO, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What `write_rows` has written, as `rows_on_disk` gives it."""
    # NOTE: "c", for engines share memory that is writable and copy what is not; and an array of
    # numpy's own class, which is all that engines know.
    return np.asarray(np.memmap(file, np.uint8, "c", shape=shape))


def _write(file: BinaryIO, rest: memoryview) -> None:
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def temporary_files() -> Iterator[None]:
    """Inside, a temporary file that cannot be made or written is a `StorageError`."""
    try:
        yield
    except OSError as error:
        place = f" in {tempfile.tempdir!r}" if tempfile.tempdir else ""
        raise StorageError(
            f"temporary files: must be written{place}, got {error.strerror!r}; "
            "set TMPDIR to a directory that has room for them"
        ) from error
