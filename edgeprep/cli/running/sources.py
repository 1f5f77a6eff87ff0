"""What `edgeprep run` is given, and where what it draws goes."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct

from edgeprep.errors import InputError, OutputExists, StorageError
from edgeprep.films import is_film, is_playlist

__all__ = ["FilmFile", "PictureFile", "SheetPage", "find", "lines_of", "make_directory", "targets"]

# Of small pictures ten times ten are seen at a glance; a thousand would fill the memory.
SHEET_CELLS, SHEET_COLUMNS, SHEET_CELL = 100, 10, 192


class PictureFile(Struct, frozen=True):
    """A picture to run on.

    Attributes:
        path: of the file, as it was given.
        name: what its drawn copy is called, without an extension.
    """

    path: str
    name: str
    ending = ".png"


class FilmFile(Struct, frozen=True):
    """A film to run on, with the same attributes."""

    path: str
    name: str
    ending = ".mp4"


class SheetPage(Struct, frozen=True):
    """A contact sheet.

    Attributes:
        path: where it goes.
        cells: how many pictures are on it.
    """

    path: Path
    cells: int


def find(words: Sequence[str]) -> list[PictureFile | FilmFile]:
    """The pictures and films that are meant: files, and the pictures in folders, by name.

    Raises:
        InputError: a folder has no pictures.
    """
    found: list[PictureFile | FilmFile] = []
    for word in words:
        if Path(word).is_dir():
            found += _pictures_of(Path(word))
        # Playlists are refused where films are opened, with what to do.
        elif is_film(word) or is_playlist(word):
            found.append(FilmFile(word, Path(word).stem))
        else:
            found.append(PictureFile(word, Path(word).stem))
    return found


def targets(
    files: Sequence[PictureFile | FilmFile], output: Path, *, sheet: bool, overwrite: bool
) -> tuple[list[Path], list[SheetPage]]:
    """Where each drawn file goes; every reason why it must not is found before any runs."""
    # NOTE: not `resolve`, which raises for a link to itself; reading it is refused by name later.
    originals = {Path(os.path.realpath(file.path)) for file in files}
    taken: dict[Path, str] = {}
    drawn: list[Path] = []
    for file in files:
        target = output / f"{file.name}{file.ending}"
        drawn.append(target)
        for path in (target, *([lines_of(target)] if isinstance(file, FilmFile) else [])):
            _check(path, file.path, taken, originals, output, overwrite=overwrite)
    pages = _pages(files, output) if sheet else []
    for page in pages:
        _check(page.path, "--sheet", taken, originals, output, overwrite=overwrite)
    return drawn, pages


def lines_of(target: Path) -> Path:
    """Where the results of each frame of a film go, beside its drawn copy."""
    return target.with_suffix(".jsonl")


def make_directory(path: Path) -> None:
    """Make a directory, and those above it.

    Raises:
        StorageError: there is something else, or it may not be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: must be a directory to write to, got {error.strerror!r}"
        ) from error


def _pictures_of(folder: Path) -> list[PictureFile]:
    # Here, as one picture does without the readers of data.
    from edgeprep.data.picture_files import files_below, is_picture

    paths = [path for path in files_below(folder) if is_picture(path, folder)]
    if not paths:
        raise InputError(f"{folder}: must have pictures in it or in its folders, got none")
    names = [path.relative_to(folder) for path in paths]
    stems = Counter(name.with_suffix("") for name in names)
    return [
        # "x.jpg" and "x.png" become "x.jpg.png" and "x.png.png".
        PictureFile(
            str(path),
            (name if stems[name.with_suffix("")] > 1 else name.with_suffix("")).as_posix(),
        )
        for path, name in zip(paths, names, strict=True)
    ]


def _pages(files: Sequence[PictureFile | FilmFile], output: Path) -> list[SheetPage]:
    count = sum(isinstance(file, PictureFile) for file in files)
    sizes = [min(SHEET_CELLS, count - start) for start in range(0, count, SHEET_CELLS)]
    names = ["sheet"] if len(sizes) == 1 else [f"sheet-{page + 1}" for page in range(len(sizes))]
    return [
        SheetPage(output / f"{name}.png", size) for name, size in zip(names, sizes, strict=True)
    ]


def _check(
    target: Path,
    source: str,
    taken: dict[Path, str],
    originals: set[Path],
    output: Path,
    *,
    overwrite: bool,
) -> None:
    if target in taken:
        raise click.UsageError(
            f"-o: pictures must have different names, got {taken[target]!r} and {source!r}, "
            f"which would both become {str(target)!r}; write them to two directories"
        )
    if Path(os.path.realpath(target)) in originals:
        raise click.UsageError(
            f"-o: must be another directory than that of the pictures, got {str(output)!r}; "
            f"{str(target)!r} would be replaced"
        )
    if target.exists() and not overwrite:
        raise OutputExists(f"{target}: already exists; pass --overwrite to replace it")
    taken[target] = source
