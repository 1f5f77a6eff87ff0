"""Temporary files: a directory for exporters, and arrays that lie on the disk, not in memory."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.torch_cache import torch_cache_in
from edgeprep.errors import StorageError

__all__ = ["rows_on_disk", "scratch_directory"]


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory that is gone afterwards, with all that is in it; torch's cache is in it, too.

    Raises:
        StorageError: no directory can be made.
    """
    with _temporary_files():
        directory = tempfile.TemporaryDirectory(prefix="edgeprep-")
    with directory as name, torch_cache_in(Path(name)):
        yield Path(name)


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
    rows, shape = 0, tuple[int, ...]()
    with _temporary_files():
        # Unbuffered, as closing a file writes its buffer and fails a second time.
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed two lines below
    with file:
        for part in parts:
            with _temporary_files():
                _write(file, part.data.cast("B"))
            rows, shape = rows + len(part), part.shape[1:]
        # NOTE: "c", for engines share memory that is writable and copy what is not; and an array
        # of numpy's own class, which is all that engines know.
        return np.asarray(np.memmap(file, np.uint8, "c", shape=(rows, *shape)))


def _write(file: BinaryIO, rest: memoryview) -> None:
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _temporary_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f" in {tempfile.tempdir!r}" if tempfile.tempdir else ""
        raise StorageError(
            f"temporary files: must be written{place}, got {error.strerror!r}; "
            "set TMPDIR to a directory that has room for them"
        ) from error
