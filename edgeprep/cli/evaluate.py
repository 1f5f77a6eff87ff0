"""`edgeprep evaluate`: a bundle's variants on evaluation data, as this machine runs them."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath, bundle_argument, prefer_option
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe

__all__ = ["command"]


@click.command(name="evaluate", cls=Command)
@bundle_argument
@click.argument("recipe", type=NamedPath(path_type=Path))
@prefer_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many samples.")
@verbose_option
@format_option
def command(bundle: str, recipe: Path, prefer: str | None, limit: int | None, form: str) -> None:
    """Score BUNDLE on the evaluation data that RECIPE names.

    Every variant runs on every backend and device of this machine that can.
    """
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    with workstation_only("evaluate"):
        from edgeprep.cli._evaluate import run

    text, document = run(bundle, loaded, prefer=prefer, limit=limit)
    emit(text, document, form)
