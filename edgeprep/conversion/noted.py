"""Warnings that are heard again: with the result of the work that told them, and with its step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from edgeprep.data import WARNING, Progress, warn
from edgeprep.files import atomic_write

__all__ = ["Noted"]


class Noted:
    """A progress that notes the warnings which it is told, and tells each of them once.

    Attributes:
        warnings: in their order.
    """

    def __init__(self, progress: Progress, path: Path | None = None) -> None:
        """Tell what is noted at `path` already.

        Args:
            progress: is told of everything.
            path: a file beside what a step has done; None: nothing outlives this value.

        Raises:
            StorageError: the file cannot be written.
        """
        self._progress = progress
        self._path = path
        self.warnings: list[str] = []
        for text in () if path is None else _read(path):
            warn(self, text)

    @contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[str], None]]:
        """See `Progress`."""
        if title == WARNING:
            yield self._note
            return
        with self._progress(title) as done:
            yield done

    def _note(self, text: str) -> None:
        if text in self.warnings:
            return
        self.warnings.append(text)
        if self._path is not None:
            atomic_write(self._path, [msgspec.json.encode(self.warnings)], overwrite=True)
        warn(self._progress, text)


def _read(path: Path) -> list[str]:
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    return []
