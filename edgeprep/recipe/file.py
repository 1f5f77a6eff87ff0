"""A recipe's file, before anybody looks at what it says."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from edgeprep.errors import RecipeError, StorageError
from edgeprep.files import open_regular

__all__ = ["MAX_SIZE_BYTES", "is_ensemble", "read_file", "read_toml"]

# Recipes are written by hand; what is larger is some other file.
MAX_SIZE_BYTES = 1_000_000


def read_toml(path: Path) -> tuple[Mapping[str, object], bytes]:
    """The tables in the file at `path`, and its bytes.

    Raises:
        RecipeError: it cannot be read, or is not TOML.
    """
    content = _read(path)
    return _parse(path, content), content


def read_file(path: Path) -> bytes:
    """What is in a file that a recipe names.

    Raises:
        StorageError: it cannot be read.
    """
    with open_regular(path) as file:
        try:
            return file.read()
        except OSError as error:
            rule = "must be a file that can be read"
            raise StorageError(f"{path}: {rule}, got {error.strerror!r}") from error


def is_ensemble(table: Mapping[str, object]) -> bool:
    """Whether these are the tables of an ensemble, and not those of one network."""
    return "model" not in table and ("member" in table or "combine" in table)


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_SIZE_BYTES + 1)
    except StorageError as fault:
        raise RecipeError(str(fault)) from fault
    if len(content) > MAX_SIZE_BYTES:
        raise RecipeError(f"{path}: must have at most {MAX_SIZE_BYTES} bytes, got more")
    if not content.strip():
        raise RecipeError(f"{path}: must be a recipe, got an empty file")
    return content


def _parse(path: Path, content: bytes) -> Mapping[str, object]:
    try:
        # Editors on Windows put a byte order mark in front, which TOML 1.1 allows.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        rule = "must be UTF-8"
        raise RecipeError(f"{path}: {rule}, got {content[fault.start : fault.end]!r}") from fault
    except ValueError as fault:
        raise RecipeError(f"{path}: must be TOML, got {fault}") from fault
    except RecursionError:
        raise RecipeError(f"{path}: must be TOML, got values nested too deeply") from None
