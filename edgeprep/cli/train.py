"""`edgeprep train`: a recipe becomes weights."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe

__all__ = ["command"]


@click.command(name="train", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path),
    help="The directory for weights, checkpoint, metrics and curve; NAME-training, by the "
    "recipe's name, by default.",
)
@click.option("--overwrite", is_flag=True, help="Train anew, whatever the directory holds.")
@click.option("--resume", is_flag=True, help="Only go on: fail where no training is under way.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr, only warnings.")
@verbose_option
@format_option
def command(
    recipe: Path, output: Path | None, overwrite: bool, resume: bool, quiet: bool, form: str
) -> None:
    """Train the network of RECIPE, a TOML file, as its [train] says.

    A training that was stopped or killed goes on where it was when the command is given again, and
    comes to the same weights. What has the best score on the validation data is kept; the
    evaluation data are scored once, at the end.

    Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 130 interrupted.
    """
    if overwrite and resume:
        raise click.UsageError("--resume and --overwrite exclude each other")
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    target = output or Path(f"{loaded.name}-training")
    with workstation_only("train"):
        from edgeprep.cli._train import run

    result = run(loaded, target, overwrite=overwrite, resume=resume, quiet=quiet)
    # A process that another one started for a second device has nothing to say.
    if result is not None:
        emit(*result, form)
