"""`edgeprep convert`: a recipe becomes a bundle."""

from pathlib import Path

import click

from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only

__all__ = ["command"]


@click.command(name="convert")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="NAME.edgeprep by default.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@format_option
def command(recipe: Path, output: Path | None, overwrite: bool, quiet: bool, form: str) -> None:
    """Make a bundle from RECIPE, a TOML file, or say why not.

    Exit codes: 0 done, 1 a step failed, 2 wrong usage or recipe, 3 over budget, 4 parity failed.
    """
    # Here and not above: torch takes a second to load, and `--help` need not wait for it.
    with workstation_only("convert"):
        from edgeprep.cli._convert import run

    text, document = run(recipe, output, overwrite=overwrite, quiet=quiet)
    emit(text, document, form)
