"""`edgeprep preprocess`: what each stage of a recipe makes of a picture."""

from contextlib import closing
from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.files import check_no_input, check_output
from edgeprep.pictures import check_pillow, read_picture, write_picture
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.runtime import from_rgb
from edgeprep.runtime.explain import format_table
from edgeprep.stages.chain import Chain
from edgeprep.stages.walk import Step, as_pixels, walk

__all__ = ["command"]

_COLUMNS = 5


@click.command(name="preprocess", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.argument("picture", type=NamedPath())
@click.option(
    "-o",
    "--output",
    metavar="OUT.png",
    type=NamedPath(path_type=Path),
    help="Write the picture after each stage, side by side.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.png if it is there.")
@verbose_option
@format_option
def command(recipe: Path, picture: str, output: Path | None, overwrite: bool, form: str) -> None:
    """Show what each stage of RECIPE makes of PICTURE, and how long it takes here in numpy.

    Values that are no levels any more, as after normalize, are drawn from their least to their
    greatest.
    """
    check_pillow()
    loaded = load_recipe(recipe)
    with closing(Chain.of_recipe(loaded, default_registry())) as chain:
        if output is not None:
            check_output(output, overwrite=overwrite)
            check_no_input(output, picture)
            check_no_input(output, recipe)
        steps = walk(chain, from_rgb(read_picture(picture), chain.input))
    if output is not None:
        # Here and not above: it needs Pillow, which `check_pillow` has found by now.
        from edgeprep.drawing import Sheet

        sheet = Sheet(len(steps), columns=_COLUMNS)
        for step in steps:
            sheet.add(as_pixels(step), _caption(step))
        write_picture(output, sheet.pixels(), overwrite=overwrite)
    head = ("stage", "size", "color", "range", "dtype", "least", "greatest", "ms")
    text = format_table(head, [_row(step) for step in steps])
    document = {
        "picture": picture,
        "output": None if output is None else str(output),
        "stages": [_document(step) for step in steps],
    }
    emit(text if output is None else f"{text}\n{output}", document, form)


def _size(step: Step) -> str:
    height, width = step.image.size if step.image.is_fixed else _measured(step)
    tiles = f"{len(step.array)} of " if len(step.array) > 1 else ""
    return f"{tiles}{height}×{width}"


def _measured(step: Step) -> tuple[int, int]:
    """The size in pixels of a picture whose type leaves it open."""
    rows, width = step.array.shape[2:] if step.image.layout == "nchw" else step.array.shape[1:3]
    return (rows * 2 // 3 if step.image.is_planar else rows), width


def _row(step: Step) -> tuple[str, ...]:
    return (
        step.name,
        _size(step),
        step.image.color,
        step.image.range,
        step.image.dtype,
        f"{step.array.min():.3f}",
        f"{step.array.max():.3f}",
        "" if step.ms is None else f"{step.ms:.3f}",
    )


def _caption(step: Step) -> str:
    time = "" if step.ms is None else f", {step.ms:.2f} ms"
    # Pillow's own font has no multiplication sign.
    return f"{step.name}\n{_size(step).replace('×', ' x ')} {step.image.color}{time}"


def _document(step: Step) -> dict[str, object]:
    height, width = _measured(step)
    return {
        "stage": step.name,
        "height": height,
        "width": width,
        "color": step.image.color,
        "range": step.image.range,
        "dtype": step.image.dtype,
        "layout": step.image.layout,
        "min": float(step.array.min()),
        "max": float(step.array.max()),
        "ms": step.ms,
    }
