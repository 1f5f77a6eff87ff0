"""A model's folder, copied to be worked on."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from edgeprep.errors import OutputExists, OutputRefused, StorageError
from edgeprep.zoo.models import ZooModel, find_model
from edgeprep.zoo.neighbours import neighbours_of

__all__ = ["Copied", "copy_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What `copy_model` made.

    Attributes:
        directory: of the copy.
        beside: the folders that it uses, which were copied, too.
        kept: those that were there already, and were left as they were.
    """

    directory: Path
    beside: tuple[Path, ...]
    kept: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep zoo get --format json` prints it."""
        return {
            "directory": str(self.directory),
            "beside": [str(path) for path in self.beside],
            "kept": [str(path) for path in self.kept],
        }


def copy_model(
    name: str | PathLike[str], output: str | PathLike[str] = ".", *, overwrite: bool = False
) -> Copied:
    """Copy the folder of a model, and beside it those whose files it uses.

    Each folder appears whole, or not at all.

    Args:
        name: see `find_model`.
        output: the directory that the copy is put into, under its own name; made where missing.
        overwrite: whether a folder of the model's name is replaced. Those that it uses are never.

    Raises:
        UnknownName: there is no model of that name.
        OutputExists: the copy would replace something, and `overwrite` is False.
        OutputRefused: `output` is no directory, or the copy would replace what is copied.
        StorageError: it cannot be written.
    """
    model = find_model(name)
    directory = Path(output)
    target = directory / model.name
    if directory.exists() and not directory.is_dir():
        raise OutputRefused(f"{directory}: must be a directory, got a file")
    if target.resolve() == model.directory.resolve():
        raise OutputRefused(f"{target}: must be another folder than what is copied, got it")
    if os.path.lexists(target) and not overwrite:
        remedy = "pass --overwrite (overwrite=True) to replace it"
        raise OutputExists(f"{target}: already exists; {remedy}")
    others = [(other, directory / other.name) for other in neighbours_of(model)]
    kept = tuple(place for _, place in others if os.path.lexists(place))
    missing = [(other, place) for other, place in others if place not in kept]
    with _storage_errors(target):
        directory.mkdir(parents=True, exist_ok=True)
        for other, place in missing:
            _copy(other, place)
        # Last, so that it is there only with all that it needs.
        _copy(model, target)
    return Copied(directory=target, beside=tuple(place for _, place in missing), kept=kept)


def _copy(model: ZooModel, target: Path) -> None:
    temporary = target.parent / f".edgeprep-{os.urandom(8).hex()}.tmp"
    fresh, old = temporary / "new", temporary / "old"
    try:
        temporary.mkdir()
        shutil.copytree(
            model.directory,
            fresh,
            # An installed zoo may be read-only, and a copy is there to be changed.
            copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"),
        )
        fresh.chmod(0o755)
        if os.path.lexists(target):
            target.rename(old)
        try:
            fresh.rename(target)
        except BaseException:
            if os.path.lexists(old):
                old.rename(target)
            raise
    finally:
        if old.is_symlink() or old.is_file():
            old.unlink()
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _storage_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except shutil.Error as error:
        # One line a file: source, destination and what was wrong.
        with suppress(IndexError, TypeError, ValueError):
            _, place, reason = error.args[0][0]
            raise StorageError(f"{place}: must be written, got {reason!r}") from error
        raise StorageError(f"{target}: must be written, got {str(error)!r}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{target}: must be written, got {reason!r}") from error
