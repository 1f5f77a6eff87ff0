"""The picture files of a directory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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

    Directories that are links are gone into, unless they lead to one above them.

    Raises:
        StorageError: a directory cannot be read.
    """
    return sorted(_files_of(root, frozenset()))


def _files_of(directory: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = directory.stat()
        here = status.st_dev, status.st_ino
        found = [] if here in above else sorted(directory.iterdir())
    except OSError as error:
        rule = "must be a directory that can be read"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
    for path in found:
        if path.name[0] == ".":
            continue
        if path.is_dir():
            yield from _files_of(path, above | {here})
        else:
            yield path


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
