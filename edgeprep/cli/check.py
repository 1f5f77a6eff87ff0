"""`edgeprep check`: what the preprocessing of a recipe costs, and what would cost less."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.recipe import load_recipe
from edgeprep.runtime.explain import format_table

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
    "--size",
    type=_Size(),
    help="Of the camera's pictures, where input.size is free. [default: 720x1280]",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where there is a warning.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@verbose_option
@format_option
def command(
    recipe: Path, size: tuple[int, int] | None, strict: bool, quiet: bool, form: str
) -> None:
    """Measure every stage of RECIPE's preprocessing here, and warn of what is costly.

    Stages in the graph that take a millisecond or more in numpy are timed in the engine of each
    format of the recipe: the graph that ends with them, less the one that ends before.
    """
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    with workstation_only("check"):
        from edgeprep.cli._check import run
    advice = run(loaded, size=size, quiet=quiet)
    formats = list(dict.fromkeys(name for cost in advice.costs for name in cost.graph_ms))
    head = ("stage", "place", "arriving", "numpy ms", *(f"{name} ms" for name in formats))
    rows = [
        (
            cost.name,
            cost.place,
            f"{cost.height}×{cost.width}",
            f"{cost.numpy_ms:.2f}",
            *(f"{cost.graph_ms[name]:.2f}" if name in cost.graph_ms else "" for name in formats),
        )
        for cost in advice.costs
    ]
    lines = [format_table(head, rows)]
    lines += [f"not measured: {name}: {why}" for name, why in advice.unmeasured.items()]
    lines += [
        f"not measured: preprocess[{index}]: {cost.name.partition('@')[0]} in {name}: {why}"
        for index, cost in enumerate(advice.costs)
        for name, why in cost.unmeasured.items()
    ]
    lines += [f"warning: {warning}" for warning in advice.warnings]
    if not advice.warnings:
        lines.append("nothing costly was found")
    emit("\n".join(lines), advice.to_json(), form)
    if strict and advice.warnings:
        raise click.exceptions.Exit(1)
