"""Pictures and films, one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprep.cli.running.answers import Answers, Place
from edgeprep.cli.running.sources import FilmFile, PictureFile, SheetPage, lines_of, make_directory
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import InputError, OutputError, StorageError
from edgeprep.films import check_av
from edgeprep.pictures import check_pillow, read_picture, write_picture
from edgeprep.runtime import Session, from_rgb

__all__ = ["check_libraries", "run_all", "written"]


def check_libraries(files: Sequence[PictureFile | FilmFile], output: Path | None) -> None:
    """Find out before any work whether all can be read, and drawn to `output`.

    Raises:
        BackendUnavailable: Pillow or PyAV is not installed.
    """
    if output is not None or any(isinstance(file, PictureFile) for file in files):
        check_pillow()
    if any(isinstance(file, FilmFile) for file in files):
        check_av()


def written(
    files: Sequence[PictureFile | FilmFile],
    drawn: Sequence[Path | None],
    pages: Sequence[SheetPage],
    output: Path,
) -> list[Path]:
    """What is written below `output`, and that itself."""
    pairs = [(file, path) for file, path in zip(files, drawn, strict=True) if path is not None]
    lines = [lines_of(path) for file, path in pairs if isinstance(file, FilmFile)]
    return [output, *(path for _, path in pairs), *lines, *(page.path for page in pages)]


def run_all(
    session: Session,
    files: Sequence[PictureFile | FilmFile],
    drawn: Sequence[Path | None],
    pages: Sequence[SheetPage],
    answers: Answers,
    *,
    overwrite: bool,
    every: int,
) -> None:
    """Give `answers` the result of each file; one that fails is named, and the next one is run.

    Args:
        session: that answers.
        files: what to run on.
        drawn: where the drawn copy of each goes; None: nowhere.
        pages: the contact sheets on which all drawn pictures go.
        answers: is told of each.
        overwrite: whether what is there is replaced.
        every: of a network of clips, at every so-manieth frame of a film there is a result.
    """
    sheets: Any = None
    if pages:
        from edgeprep.cli.running.sheets import Sheets

        sheets = Sheets(pages, overwrite=overwrite)
    for file, target in zip(files, drawn, strict=True):
        check_stopped()
        try:
            if isinstance(file, FilmFile):
                from edgeprep.cli.running.films import run_film

                run_film(session, file.path, target, answers, overwrite=overwrite, every=every)
            else:
                result = _run(session, file, target, sheets, overwrite=overwrite)
                answers.result(Place(file.path), result)
        except (InputError, OutputError, StorageError) as error:
            answers.fault(file.path, error)
    if sheets is not None:
        sheets.finish()


def _run(
    session: Session, file: PictureFile, target: Path | None, sheets: Any, *, overwrite: bool
) -> Any:
    picture = read_picture(file.path)
    try:
        result = session(from_rgb(picture, session.input))
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from error
    except OutputError as error:
        raise OutputError(f"{file.path}: {error}") from error
    if target is not None:
        # Here and not above: it needs Pillow, which `read_picture` has found by now.
        from edgeprep.drawing import draw, marks_of

        marked = draw(picture, marks_of(result))
        make_directory(target.parent)
        write_picture(target, marked, overwrite=overwrite)
        if sheets is not None:
            sheets.add(marked, file.name, str(result))
    return result
