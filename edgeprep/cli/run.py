"""`edgeprep run`: a bundle on picture files."""

from pathlib import Path

import click

import edgeprep
from edgeprep.cli.options import bundle_argument, prefer_option
from edgeprep.cli.output import emit, format_option
from edgeprep.errors import StorageError
from edgeprep.pictures import read_picture, write_picture
from edgeprep.runtime import format_table, from_rgb

__all__ = ["command"]


@click.command(name="run")
@bundle_argument
@click.argument("pictures", nargs=-1, required=True, type=click.Path())
@prefer_option
@click.option("--probe/--no-probe", default=True, help="Measure candidates, or take the first.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write annotated pictures.")
@click.option("--overwrite", is_flag=True, help="Replace annotated pictures that are there.")
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

    With -o DIRECTORY, each picture is written there with its result drawn into it.
    """
    results = []
    if output is not None:
        _make_directory(output)
    with edgeprep.open(bundle, prefer=prefer, probe=probe) as session:
        for path in pictures:
            picture = read_picture(path)
            result = session(from_rgb(picture, session.input))
            results.append((path, result))
            if output is not None:
                # Here and not above: it needs Pillow, which `read_picture` has found by now.
                from edgeprep.cli._draw import draw_text

                target = output / f"{Path(path).stem}.png"
                write_picture(target, draw_text(picture, str(result)), overwrite=overwrite)
        choice = session.outcomes[0].to_json()
    documents = [{"picture": path, **result.to_json()} for path, result in results]
    table = format_table(("picture", "result"), [(path, str(result)) for path, result in results])
    emit(table, {"choice": choice, "results": documents}, form)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: must be a directory to write to, got {error}") from error
