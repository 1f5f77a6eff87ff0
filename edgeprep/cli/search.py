"""`edgeprep search`: the ways to convert a recipe, measured, and the one to take."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, failures_too, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe

__all__ = ["command"]


@click.command(name="search", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path),
    help="The chosen recipe; RECIPE-searched.toml by default. It must lie beside RECIPE.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Begin no further point after so many. [default: search.minutes of the recipe]",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("--fresh", is_flag=True, help="Measure again what is kept from a search before.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@verbose_option
@format_option
def command(
    recipe: Path,
    output: Path | None,
    minutes: float | None,
    overwrite: bool,
    fresh: bool,
    quiet: bool,
    form: str,
) -> None:
    """Measure the ways to convert RECIPE that its [search] spans, and write the one to take.

    Points are scored on the validation data where the recipe names them, else on the evaluation
    data. The quickest point within the budget is chosen. A search that was ended, even killed, goes
    on from where it was.

    Exit codes: 0 done, 1 a step failed, 2 wrong usage or recipe, 3 no point is within the budget.
    """
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    with workstation_only("search"):
        from edgeprep.cli._search import run

    target = output or recipe.with_name(f"{recipe.stem}-searched.toml")
    with failures_too(form):
        text, document = run(
            loaded, recipe, target, minutes=minutes, overwrite=overwrite, fresh=fresh, quiet=quiet
        )
    emit(text, document, form)
