"""The heavy half of `edgeprep sensitivity`."""

import math
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from msgspec import to_builtins

from edgeprep.cli.progress import Steps, only_warnings, stopping
from edgeprep.compress.sensitivity import LayerCost
from edgeprep.conversion.coverage import collect_coverage, describe_coverage
from edgeprep.conversion.noted import Noted
from edgeprep.conversion.sensitivity import SensitivityReport, analyze
from edgeprep.data import Progress
from edgeprep.files import atomic_write
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["describe", "draw", "measure_ranges", "run", "watch"]

# More bars than these cannot be told apart; the others are counted.
_MOST_DRAWN = 60
_INCHES_PER_LAYER, _SMALLEST, _WIDTH = 0.22, 3.0, 8.0


def watch(*, quiet: bool) -> Noted:
    """What tells people of steps, and remembers warnings."""
    return Noted(stopping(only_warnings if quiet else Steps()))


def run(
    recipe: Recipe,
    *,
    samples: int | None,
    worst: int,
    subset: int,
    keep: int | None,
    threshold_db: float,
    progress: Progress,
) -> SensitivityReport:
    """What was found."""
    return analyze(
        recipe,
        samples=samples,
        worst=worst,
        subset=subset,
        keep=keep,
        threshold_db=threshold_db,
        progress=progress,
    )


def measure_ranges(recipe: Recipe, progress: Progress) -> tuple[str, dict[str, Any]]:
    """The ranges of each variant's activations, as tables and as a document."""
    found = collect_coverage(recipe, progress=progress)
    tables = [f"{name}\n{describe_coverage(ranges)}" for name, ranges in found.items()]
    none = "no target has ranges that are measured before"
    return "\n\n".join(tables) or none, {
        name: [to_builtins(one) for one in ranges] for name, ranges in found.items()
    }


def draw(report: SensitivityReport, path: Path, *, overwrite: bool) -> None:
    """Write a picture of the layers, the most costly one on top; those kept in float in red.

    Raises:
        StorageError: `path` cannot be written.
    """
    layers = report.layers[:_MOST_DRAWN]
    most = max((layer.snr_db for layer in layers if math.isfinite(layer.snr_db)), default=0.0)
    height = max(_SMALLEST, 1.2 + _INCHES_PER_LAYER * len(layers))
    # NOTE: no pyplot, which would keep every figure and might open a window.
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(
        range(len(layers)),
        [min(max(layer.snr_db, 0.0), most) for layer in layers],
        color=["tab:red" if layer.path in report.keep_float else "tab:blue" for layer in layers],
    )
    axes.set_yticks(range(len(layers)), [layer.path for layer in layers], fontsize="small")
    axes.invert_yaxis()
    more = len(report.layers) - len(layers)
    axes.set_xlabel("signal to noise at the outputs in dB, with this layer alone in int8")
    axes.set_title(f"least first; {more} more are not drawn" if more else "least first")
    if report.threshold_db is not None:
        axes.axvline(report.threshold_db, color="black", linewidth=0.8)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    atomic_write(path, [picture.getvalue()], overwrite=overwrite)


def describe(report: SensitivityReport) -> str:
    """The layers as a table, and what comes of keeping some of them in float."""
    drop = report.metric is not None
    head = ("rank", "layer", "kind", "parameters", "MACs", "SNR dB", "own SNR dB")
    rows = [
        (*_row(rank, layer), *((_drop(layer),) if drop else ()))
        for rank, layer in enumerate(report.layers, 1)
    ]
    lines = [format_table((*head, f"{report.metric} drop") if drop else head, rows)]
    lines.append(f"all in int8: {_decibels(report.snr_db)} dB on {report.samples} samples")
    if report.metric is not None:
        lines.append(f"in float: {report.metric} {report.source:.4f} on {report.confirmed} samples")
    if report.block:
        below = f"with the layers below in float: {_decibels(report.kept_snr_db)} dB"
        lines.append(f"{below}; the table takes the place of [quantize], if the recipe has one")
    elif report.threshold_db is not None and report.snr_db >= report.threshold_db:
        lines.append(f"no layer needs to stay in float for {report.threshold_db:g} dB")
    else:
        lines.append("no choice of layers that leaves something to quantize is enough")
    return "\n".join(lines)


def _row(rank: int, layer: LayerCost) -> tuple[str, ...]:
    inside = f" and {layer.inside} inside" if layer.inside else ""
    return (
        str(rank),
        f"{layer.path}{inside}",
        ", ".join(layer.kinds),
        f"{layer.parameters:,}",
        f"{100 * layer.macs:.1f} %",
        _decibels(layer.snr_db),
        _decibels(layer.own_snr_db),
    )


def _drop(layer: LayerCost) -> str:
    return "" if layer.drop is None else f"{layer.drop:z.4f}"


def _decibels(value: float | None) -> str:
    # Without an end: "inf" where nothing changes, "-inf" where nothing of the signal is left.
    return "" if value is None else f"{value:.1f}"
