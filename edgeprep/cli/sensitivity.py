"""`edgeprep sensitivity`: the layers of a recipe's network, by what quantizing each one costs."""

from pathlib import Path

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import NamedPath
from edgeprep.cli.output import emit, format_option
from edgeprep.cli.workstation import workstation_only
from edgeprep.files import check_no_input, check_output
from edgeprep.recipe import load_recipe

__all__ = ["command"]

# Noise is a tenth of the signal there, where few answers of a classifier change.
_THRESHOLD_DB = 20.0


@click.command(name="sensitivity", cls=Command)
@click.argument("recipe", type=NamedPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="OUT.png",
    type=NamedPath(path_type=Path),
    help="Draw the layers and what they cost.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.png if it is there.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    help="Calibration samples that are run for every layer. [default: 32, fewer of large networks]",
)
@click.option(
    "--confirm",
    "worst",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Measure the metric, too, with each of the N worst layers quantized.",
)
@click.option(
    "--subset",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Evaluation samples that --confirm measures on.",
)
@click.option(
    "--threshold",
    metavar="DB",
    type=click.FloatRange(0, 100),
    help="Propose the fewest layers that lift the signal-to-noise ratio over this. [default: 20]",
)
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    help="Propose the N worst layers instead.",
)
@click.option(
    "--ranges",
    is_flag=True,
    help="Show the ranges of every variant's activations, too, and what they clip.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@verbose_option
@format_option
def command(
    recipe: Path,
    output: Path | None,
    overwrite: bool,
    samples: int | None,
    worst: int,
    subset: int,
    threshold: float | None,
    keep: int | None,
    ranges: bool,
    quiet: bool,
    form: str,
) -> None:
    """Rank the layers of RECIPE's network by what quantizing each one alone costs.

    INT8 is simulated in torch: the signal-to-noise ratio of the outputs is measured on calibration
    samples, once a layer. The worst layers come first, and a block for the recipe
    keeps the fewest of them in float, in every format alike. "inf" dB: nothing changes; "-inf":
    nothing is left.

    What is simulated is the recipe's [quantize]: its calibrator chooses ranges, and weights have
    7 bits of the 8 unless weight_range is "full", as some formats need it.
    """
    if keep is not None and threshold is not None:
        raise click.UsageError("--keep and --threshold exclude each other")
    if output is not None and output.suffix.lower() != ".png":
        raise click.UsageError(f"-o: must be a file that ends in '.png', got {str(output)!r}")
    # First, as it takes no time: a recipe with a fault need not wait for torch.
    loaded = load_recipe(recipe)
    if output is not None:
        check_output(output, overwrite=overwrite)
        check_no_input(output, recipe)
    with workstation_only("sensitivity"):
        from edgeprep.cli._sensitivity import describe, draw, measure_ranges, run, watch
    progress = watch(quiet=quiet)
    report = run(
        loaded,
        samples=samples,
        worst=worst,
        subset=subset,
        keep=keep,
        threshold_db=_THRESHOLD_DB if threshold is None else threshold,
        progress=progress,
    )
    text = describe(report)
    if output is not None:
        draw(report, output, overwrite=overwrite)
        text = f"{text}\n{output}"
    document = {"output": None if output is None else str(output), **report.to_json()}
    if ranges:
        tables, document["ranges"] = measure_ranges(loaded, progress)
        text = f"{text}\n\n{tables}"
    document["warnings"] = progress.warnings
    # Last, so that it is easily taken from the screen.
    text = f"{text}\n\n{report.block}" if report.block else text
    emit(text, document, form)
