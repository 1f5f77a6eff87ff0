"""`edgeprep convert`: a recipe becomes a bundle."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, failures_too, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe

__all__ = ["command"]


@click.command(name="convert", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path),
    help="The bundle, or a directory for it; NAME.edgeprep, by the recipe's name, by default.",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("--fresh", is_flag=True, help="Do compression steps again that are kept from before.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@verbose_option
@format_option
def command(
    recipe: Path, output: Path | None, overwrite: bool, fresh: bool, quiet: bool, form: str
) -> None:
    """Make a bundle from RECIPE, a TOML file, or say why not.

    The bundle appears when every variant has passed every gate, or not at all. What compression
    steps had done when a conversion was ended, even killed, the next one goes on from.

    Exit codes: 0 done, 1 a step failed, 2 wrong usage or recipe, 3 over budget, 4 parity failed.
    """
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    with workstation_only("convert"):
        from edgeprep.cli._convert import run

    target = output or Path()
    if target.is_dir():
        target /= f"{loaded.name}.edgeprep"
    with failures_too(form):
        text, document = run(loaded, target, overwrite=overwrite, fresh=fresh, quiet=quiet)
    emit(text, document, form)
