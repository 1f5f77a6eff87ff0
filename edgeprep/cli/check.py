"""`edgeprep check`: what preprocessing costs, and what in a network int8 does not bear."""

from pathlib import Path
from typing import Literal

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe

__all__ = ["command"]


class _Size(click.ParamType[tuple[int, int]]):
    name = "HEIGHTxWIDTH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Two numbers of pixels, as in 720x1280."""
        height, _, width = str(value).lower().replace("×", "x").partition("x")
        if not (height.isascii() and height.isdigit() and width.isascii() and width.isdigit()):
            self.fail(
                f"must be HEIGHTxWIDTH in pixels, such as 720x1280, got {value!r}", param, ctx
            )
        return int(height), int(width)


@click.command(name="check", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "--only",
    type=click.Choice(["preprocessing", "network"]),
    help="Check but one of the two. [default: both, the network if a target is int8]",
)
@click.option(
    "--size",
    type=_Size(),
    help="Of the camera's pictures, where input.size is free. [default: 720x1280]",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where there is a warning.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@verbose_option
@format_option
def command(
    recipe: Path,
    only: Literal["preprocessing", "network"] | None,
    size: tuple[int, int] | None,
    strict: bool,
    quiet: bool,
    form: str,
) -> None:
    """Measure RECIPE's preprocessing here, and look for what breaks int8 in its network.

    Stages in the graph that take a millisecond or more in numpy are timed in the engine of each
    format of the recipe: the graph that ends with them, less the one that ends before.

    The network is looked into as it is before any compression, with the ranges of 16 of the
    recipe's calibration samples. Where it cannot be loaded, that is said, and the preprocessing is
    checked all the same.
    """
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    with workstation_only("check"):
        from edgeprep.cli._check import run
    report = run(loaded, only=only, size=size, quiet=quiet)
    emit("\n".join(report.lines), report.document, form)
    if strict and report.has_warnings:
        raise click.exceptions.Exit(1)
