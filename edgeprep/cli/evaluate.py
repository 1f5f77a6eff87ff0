"""`edgeprep evaluate`: a bundle's variants on evaluation data, as this machine runs them."""

from pathlib import Path

import click

from edgeprep.cli.options import bundle_argument, prefer_option
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only

__all__ = ["command"]


@click.command(name="evaluate")
@bundle_argument
@click.argument("recipe", type=click.Path(path_type=Path))
@prefer_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many samples.")
@format_option
def command(bundle: str, recipe: Path, prefer: str | None, limit: int | None, form: str) -> None:
    """Score BUNDLE on the evaluation data that RECIPE names.

    Every variant runs on every backend and device of this machine that can.
    """
    # Here and not above: scikit-learn takes a second to load, and `--help` need not wait for it.
    with workstation_only("evaluate"):
        from edgeprep.cli._evaluate import run

    text, document = run(bundle, recipe, prefer=prefer, limit=limit)
    emit(text, document, form)
