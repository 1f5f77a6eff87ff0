"""`edgeprep ensemble`: several bundles become one."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, failures_too, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_ensemble_recipe

__all__ = ["command"]


@click.command(name="ensemble", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path),
    help="The bundle, or a directory for it; NAME.edgeprep, by the recipe's name, by default.",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@verbose_option
@format_option
def command(recipe: Path, output: Path | None, overwrite: bool, quiet: bool, form: str) -> None:
    """Make one bundle of those that RECIPE, a TOML file, names as members.

    Members are run to see that their results can be joined, to teach a combiner that learns, and
    to be scored beside the ensemble where the recipe names evaluation data.

    Exit codes: 0 done, 1 a step failed, 2 wrong usage or recipe, 3 it gains less than its budget
    asks for.
    """
    # First, as it takes no time: a recipe with a fault need not wait for an engine.
    loaded = load_ensemble_recipe(recipe)
    with workstation_only("ensemble"):
        from edgeprep.cli._ensemble import run

    target = output or Path()
    if target.is_dir():
        target /= f"{loaded.name}.edgeprep"
    with failures_too(form):
        text, document = run(loaded, target, overwrite=overwrite, quiet=quiet)
    emit(text, document, form)
