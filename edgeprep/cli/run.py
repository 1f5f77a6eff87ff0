"""`edgeprep run`: a bundle on pictures, films and live sources."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import edgeprep
from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import (
    NamedPath,
    Seconds,
    bundle_argument,
    goal_option,
    isolate_option,
    prefer_option,
)
from edgeprep.cli.running.files import check_libraries, run_all, written
from edgeprep.cli.running.formats import FORMATS, LIVE_FORMATS, answers_in
from edgeprep.cli.running.metrics_file import measured
from edgeprep.cli.running.sources import (
    FilmFile,
    PictureFile,
    SheetPage,
    find,
    targets,
)
from edgeprep.films import check_source, is_address
from edgeprep.runtime import Session
from edgeprep.runtime.goals import Goal

__all__ = ["command"]

_OF_LIVE = {"headless": "--headless", "timeout_s": "--timeout", "reconnect": "--reconnect"}


@click.command(name="run", cls=Command)
@bundle_argument
@click.argument("sources", nargs=-1, type=NamedPath())
@prefer_option
@goal_option
@isolate_option
@click.option(
    "--strict",
    is_flag=True,
    help="Nothing else answers than what was chosen: what goes wrong with it is an error.",
)
@click.option(
    "--probe/--no-probe",
    default=True,
    help="Measure the candidates, or take the first that computes the right numbers.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIRECTORY",
    type=NamedPath(path_type=Path),
    help="Write each picture there as PNG, and each film as MP4, with its result drawn into it.",
)
@click.option("--sheet", is_flag=True, help="With -o: all pictures on one contact sheet, too.")
@click.option("--overwrite", is_flag=True, help="Replace what is there of that name.")
@click.option(
    "--every",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of a network that takes clips: a result at every N-th frame of a film or live source.",
)
@click.option(
    "--camera",
    metavar="SOURCE",
    type=NamedPath(),
    help="Follow a camera (0 is the first), an address (rtsp://…) or a film at its own pace.",
)
@click.option("--headless", is_flag=True, help="Live: no window, but a line a second on stderr.")
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="Live: for how long nothing may come, at most a day.",
)
@click.option(
    "--reconnect",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Live: how often in a row to try again, after 1, 2, 4, … seconds.",
)
@click.option(
    "--categories",
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="With --format coco: annotations of COCO, for the ids of categories by their names; "
    "else an id is the number of the label plus 1.",
)
@click.option(
    "--metrics",
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="Write there what the session has counted, as JSON: times by step, errors, drops, events.",
)
@verbose_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="A table for people; one JSON document, or one a line; a row an object; COCO's list.",
)
def command(
    bundle: str,
    sources: tuple[str, ...],
    prefer: str | None,
    goal: Goal,
    isolate: bool | None,
    strict: bool,
    probe: bool,
    output: Path | None,
    sheet: bool,
    overwrite: bool,
    every: int,
    camera: str | None,
    headless: bool,
    timeout_s: float,
    reconnect: int,
    categories: Path | None,
    metrics: Path | None,
    form: str,
) -> None:
    """Run BUNDLE on SOURCES and print one result each: pictures, folders of pictures, or films.

    Of a folder, all pictures below it are run, by name; hidden files, and files that are no
    pictures by their extension, are left alone. A picture that cannot be read, or has no finite
    result, is named on stderr; the others are run, and the exit code is 1. So are films that end
    early; what comes before is kept.

    An address among the SOURCES is followed live, as with --camera, until it ends or is stopped.
    """
    live = _live_source(sources, camera)
    opening = partial(
        measured,
        partial(
            edgeprep.open,
            bundle,
            prefer=prefer,
            strict=strict,
            goal=goal,
            isolate=isolate,
            probe=probe,
        ),
        metrics,
        overwrite=overwrite,
    )
    reads = (bundle, *sources, *(() if categories is None else (categories,)))
    if categories is not None and form != "coco":
        raise click.UsageError(f"--categories: needs --format coco, got {form!r}")
    if live is not None:
        _check_live(output, form, sheet=sheet)
        from edgeprep.cli.running.live import LiveOptions

        options = LiveOptions(timeout_s=timeout_s, reconnect=reconnect, every=every)
        live_opening = partial(opening, reads=reads)
        _run_live(live_opening, live, options, form, headless=headless)
        return
    _check_not_live(click.get_current_context())
    if sheet and output is None:
        raise click.UsageError("--sheet: needs -o, a directory to write to, got none")
    files = find(sources)
    if sheet and not any(isinstance(file, PictureFile) for file in files):
        raise click.UsageError("--sheet: needs pictures, got films alone")
    if every > 1 and not any(isinstance(file, FilmFile) for file in files):
        raise click.UsageError("--every: needs films or a live source, got pictures alone")
    check_libraries(files, output)
    drawn: Sequence[Path | None] = [None] * len(files)
    pages: Sequence[SheetPage] = ()
    if output is not None:
        drawn, pages = targets(files, output, sheet=sheet, overwrite=overwrite)
    writes = [] if output is None else written(files, drawn, pages, output)
    # Of a folder, each of its pictures is read.
    reads = (*reads, *(file.path for file in files))
    with opening(reads=reads, writes=writes) as session:
        _check_every(every, session)
        answers = answers_in(form, session.task, files, categories, frames=output is None)
        run_all(session, files, drawn, pages, answers, overwrite=overwrite, every=every)
        choice = session.outcomes[0].to_json()
    answers.end(choice)
    if answers.failed:
        raise click.exceptions.Exit(1)


def _run_live(
    opening: Callable[[], AbstractContextManager[Session]],
    source: str,
    options: Any,
    form: str,
    *,
    headless: bool,
) -> None:
    from edgeprep.cli.running.live import live_name, run_live
    from edgeprep.cli.running.screen import open_window

    # First, as nobody needs a display for what is not there.
    check_source(source)
    screen = None if headless else open_window(f"edgeprep: {live_name(source)}")
    with opening() as session:
        _check_every(options.every, session)
        answers = answers_in(form, session.task, (), None, frames=False)
        run_live(session, source, answers, screen, options)
        answers.end(session.outcomes[0].to_json())


def _live_source(sources: Sequence[str], camera: str | None) -> str | None:
    addresses = [source for source in sources if is_address(source)]
    if camera is None and not addresses:
        if not sources:
            raise click.UsageError("SOURCES: must be pictures, folders or films, got none")
        return None
    if len(sources) + (camera is not None) > 1:
        got = [*sources, *([] if camera is None else [camera])]
        raise click.UsageError(f"a live source: must be the only one, got {len(got)} sources")
    return camera if camera is not None else addresses[0]


def _check_live(output: Path | None, form: str, *, sheet: bool) -> None:
    rule = "must be absent for a live source, of which nothing is written"
    if output is not None:
        raise click.UsageError(f"-o: {rule}, got {str(output)!r}")
    if sheet:
        raise click.UsageError(f"--sheet: {rule}, got it")
    if form not in LIVE_FORMATS:
        rule = "must be one of 'text', 'jsonl' and 'csv' for a live source"
        raise click.UsageError(f"--format: {rule}, got {form!r}")


def _check_not_live(context: click.Context) -> None:
    for name, option in _OF_LIVE.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option}: needs a live source, got none")


def _check_every(every: int, session: Session) -> None:
    if every > 1 and session.input.batch == 1:
        rule = "--every: needs a bundle whose network takes clips"
        raise click.UsageError(f"{rule}, got one that takes single pictures")
