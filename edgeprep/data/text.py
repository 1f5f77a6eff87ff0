"""Text files of data sets, as they are found: with or without BOM, with any ends of lines."""

from pathlib import Path

from edgeprep.errors import DataError, InputError, StorageError
from edgeprep.files import open_regular

__all__ = ["read_bytes", "read_lines", "read_text"]


def read_text(path: Path) -> str:
    """The content of a UTF-8 file, without its byte order mark.

    Raises:
        StorageError: it cannot be read.
        InputError: it is not UTF-8.
    """
    with open_regular(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = content[error.start : error.start + 1]
        raise InputError(f"{path}:{line}: must be UTF-8 text, got {wrong!r}") from error


def read_lines(path: Path, where: str) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file that data cannot do without, with their numbers from 1.

    Raises:
        DataError: it cannot be read; the message begins with `where`.
    """
    try:
        text = read_text(path)
    except (StorageError, InputError) as error:
        raise DataError(f"{where}: {error}") from error
    # NOTE: not `splitlines`, which also splits at characters that names may have in them.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [*enumerate(lines, 1)]


def read_bytes(path: Path, where: str) -> bytes:
    """The content of a file that data cannot do without.

    Raises:
        DataError: it cannot be read; the message begins with `where`.
    """
    try:
        with open_regular(path) as stream:
            return stream.read()
    except StorageError as error:
        raise DataError(f"{where}: {error}") from error
