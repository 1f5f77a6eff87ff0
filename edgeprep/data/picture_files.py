"""The picture files of a directory."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError, StorageError
from edgeprep.pictures import Orientation, read_picture

__all__ = [
    "by_stem",
    "check_directory",
    "files_below",
    "is_picture",
    "pictures_below",
    "reading",
]

# Which files are meant; what is in them is found out by reading.
EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


def check_directory(path: Path, where: str) -> None:
    """Refuse a `path` that is no directory.

    Raises:
        DataError: it is none.
    """
    if not path.is_dir():
        raise DataError(f"{where}: must be a directory, got {str(path)!r}")


def is_picture(path: Path, root: Path) -> bool:
    """Whether `path`, below `root`, is meant to be a picture: by its extension, and not hidden."""
    # Not `is_file`: a link to nothing is a picture that cannot be read, and must be counted.
    hidden = any(part[0] == "." for part in path.relative_to(root).parts)
    return path.suffix.lower() in EXTENSIONS and not hidden and not path.is_dir()


def pictures_below(root: Path, where: str) -> list[Path]:
    """The picture files in `root` and its directories, by name.

    Raises:
        DataError: `root` is no directory, or has none.
    """
    check_directory(root, where)
    paths = [path for path in files_below(root) if is_picture(path, root)]
    if not paths:
        raise DataError(f"{where}: must have pictures, got none in {str(root)!r}")
    return paths


def files_below(root: Path) -> list[Path]:
    """The files in `root` and its directories, by name; hidden ones are left alone.

    Directories that are links are gone into, unless they lead to one above them. Each directory is
    read once, so that no file has two names; that a link to one that was read is left out is said.

    Raises:
        StorageError: a directory cannot be read.
    """
    return sorted(_files_of(root))


def _files_of(root: Path) -> Iterator[Path]:
    above = {*_identities(root.resolve().parents)}
    read: dict[tuple[int, int], Path] = {}
    # Links last: a directory goes by its own name where it has one.
    waiting, links = [root], list[Path]()
    while waiting or links:
        directory = (waiting or links).pop()
        here = _identity(directory)
        if here in read and read[here] not in directory.parents:
            message = "%s: is left out, as it is the same directory as %s"
            logging.getLogger("edgeprep").warning(message, directory, read[here])
        if here in above or here in read:
            continue
        read[here] = directory
        for path in sorted(_content(directory), reverse=True):
            if path.name[0] == ".":
                continue
            if not path.is_dir():
                yield path
            elif path.is_symlink():
                links.append(path)
            else:
                waiting.append(path)


def _identity(directory: Path) -> tuple[int, int]:
    try:
        status = directory.stat()
    except OSError as error:
        raise _unreadable(directory, error) from error
    return status.st_dev, status.st_ino


def _identities(directories: Iterable[Path]) -> Iterator[tuple[int, int]]:
    for directory in directories:
        # Who may read a directory may not know those above it.
        with suppress(StorageError):
            yield _identity(directory)


def _content(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise _unreadable(directory, error) from error


def _unreadable(directory: Path, error: OSError) -> StorageError:
    rule = "must be a directory that can be read"
    return StorageError(f"{directory}: {rule}, got {error.strerror!r}")


def by_stem(paths: Iterable[Path], root: Path, ending: str, where: str) -> Mapping[str, Path]:
    """`paths` by what they and their counterparts elsewhere have in common.

    That is the name below `root` without extension and `ending`. Files whose names have not that
    ending are left out.

    Raises:
        DataError: two have the same.
    """
    found: dict[str, Path] = {}
    for path in paths:
        # Names that look the same may be other bytes, as those of macOS are.
        stem = normalize("NFC", path.relative_to(root).with_suffix("").as_posix())
        if not stem.endswith(ending):
            continue
        stem = stem[: len(stem) - len(ending)]
        if stem in found:
            both = f"{found[stem].name!r} and {path.name!r}"
            rule = "names without their extensions must differ"
            raise DataError(f"{where}: {rule}, got {both}")
        found[stem] = path
    return found


def reading(path: Path, orientation: Orientation = "exif") -> Callable[[], NDArray[np.uint8]]:
    """What an `Entry` reads the picture at `path` with."""
    return partial(read_picture, path, orientation=orientation)
