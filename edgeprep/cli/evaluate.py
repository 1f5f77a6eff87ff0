"""`edgeprep evaluate`: variants and their source on evaluation data, as this machine runs them."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath, prefer_option
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import (
    EnsembleRecipe,
    Recipe,
    is_ensemble_file,
    load_ensemble_recipe,
    load_recipe,
)

__all__ = ["command"]


@click.command(name="evaluate", cls=Command)
@click.argument("files", metavar="[BUNDLE] RECIPE", nargs=-1, type=NamedPath())
@click.option("--source", is_flag=True, help="Score the network of RECIPE in torch, too.")
@click.option(
    "--metrics",
    metavar="NAMES",
    help="By which to score, such as accuracy,f1-macro,top-3, or all. [default: that of the "
    "recipe's budget, and the task's first]",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many samples.")
@click.option(
    "--report",
    type=NamedPath(path_type=Path),
    metavar="DIRECTORY",
    help="Write tables, and confusion matrices as pictures, into this directory.",
)
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier report.")
@prefer_option
@verbose_option
@format_option
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    source: bool,
    metrics: str | None,
    limit: int | None,
    report: Path | None,
    overwrite: bool,
    prefer: str | None,
    form: str,
) -> None:
    """Score BUNDLE on the evaluation data that RECIPE names.

    Every variant runs on every backend and device of this machine that can. Without BUNDLE, the
    network of RECIPE is scored in torch, as it is before any compression. Of an ensemble there is a
    row for the whole and for each member, on what `run` would choose.
    """
    bundle, recipe = _bundle_and_recipe(context, files)
    if bundle is None and prefer is not None:
        raise click.UsageError(f"--prefer chooses among the variants of a bundle, got {prefer!r}")
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = _load(recipe, bundle, with_source=source)
    with workstation_only("evaluate"):
        from edgeprep.cli._evaluate import run

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    text, document = run(
        bundle,
        loaded,
        metrics="all" if names == ["all"] else names,
        with_source=source,
        prefer=prefer,
        limit=limit,
        report=report,
        overwrite=overwrite,
    )
    emit(text, document, form)


def _load(recipe: str, bundle: str | None, *, with_source: bool) -> Recipe | EnsembleRecipe:
    if not is_ensemble_file(recipe):
        return load_recipe(recipe)
    if bundle is None:
        raise click.UsageError(f"BUNDLE: must be given with the recipe of an ensemble, {recipe!r}")
    if with_source:
        raise click.UsageError("--source: must be absent for an ensemble, which has no source")
    return load_ensemble_recipe(recipe)


def _bundle_and_recipe(context: click.Context, files: tuple[str, ...]) -> tuple[str | None, str]:
    if not files:
        raise click.UsageError("Missing argument 'RECIPE'.", context)
    if len(files) > 2:
        raise click.UsageError(f"Got unexpected extra argument ({files[2]})", context)
    return (files[0] if len(files) == 2 else None), files[-1]
