"""`edgeprep run`: a bundle on picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import edgeprep
from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath, bundle_argument, prefer_option
from edgeprep.cli.output import complain, emit, format_option, one_line
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import InputError, OutputError, OutputExists, StorageError
from edgeprep.pictures import check_pillow, read_picture, write_picture
from edgeprep.runtime import Session, from_rgb
from edgeprep.runtime.explain import format_table

__all__ = ["command"]


@click.command(name="run", cls=Command)
@bundle_argument
@click.argument("pictures", nargs=-1, required=True, type=NamedPath())
@prefer_option
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
    help="Write each picture there as PNG, with its result drawn into it.",
)
@click.option("--overwrite", is_flag=True, help="Replace annotated pictures that are there.")
@verbose_option
@format_option
def command(
    bundle: str,
    pictures: tuple[str, ...],
    prefer: str | None,
    probe: bool,
    output: Path | None,
    overwrite: bool,
    form: str,
) -> None:
    """Run BUNDLE on PICTURES and print one result each.

    A picture that cannot be read, or has no finite result, is named on stderr; the others are run,
    and the exit code is 1.
    """
    check_pillow()
    targets = _targets(pictures, output, overwrite=overwrite)
    results: list[tuple[str, Any]] = []
    failed: list[dict[str, str]] = []
    with edgeprep.open(bundle, prefer=prefer, probe=probe) as session:
        for path, target in zip(pictures, targets, strict=True):
            check_stopped()
            try:
                results.append((path, _run(session, path, target, overwrite=overwrite)))
            except (InputError, OutputError, StorageError) as error:
                complain(error)
                failed.append({"picture": path, "error": str(error)})
        choice = session.outcomes[0].to_json()
    documents = [{"picture": path, **result.to_json()} for path, result in results]
    if results or form == "json":
        rows = [(one_line(path), str(result)) for path, result in results]
        document = {"choice": choice, "results": documents, "failed": failed}
        emit(format_table(("picture", "result"), rows), document, form)
    if failed:
        raise click.exceptions.Exit(1)


def _run(session: Session, path: str, target: Path | None, *, overwrite: bool) -> Any:
    picture = read_picture(path)
    try:
        result = session(from_rgb(picture, session.input))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from error
    if target is not None:
        # Here and not above: it needs Pillow, which `read_picture` has found by now.
        from edgeprep.cli._draw import draw_text

        _make_directory(target.parent)
        write_picture(target, draw_text(picture, str(result)), overwrite=overwrite)
    return result


def _targets(
    pictures: Sequence[str], output: Path | None, *, overwrite: bool
) -> Sequence[Path | None]:
    """Where each annotated picture goes; every reason why it must not is found before any runs."""
    if output is None:
        return [None] * len(pictures)
    originals = {Path(picture).resolve() for picture in pictures}
    sources: dict[Path, str] = {}
    for picture in pictures:
        target = output / f"{Path(picture).stem}.png"
        if target in sources:
            raise click.UsageError(
                f"-o: pictures must have different names, got {sources[target]!r} and {picture!r}, "
                f"which would both become {str(target)!r}; write them to two directories"
            )
        if target.resolve() in originals:
            raise click.UsageError(
                f"-o: must be another directory than that of the pictures, got {str(output)!r}; "
                f"{str(target)!r} would be replaced"
            )
        if target.exists() and not overwrite:
            raise OutputExists(f"{target}: already exists; pass --overwrite to replace it")
        sources[target] = picture
    return list(sources)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: must be a directory to write to, got {error.strerror!r}"
        ) from error
