"""The heavy half of `edgeprep convert`."""

from pathlib import Path
from typing import Any

from edgeprep.bundle import Variant
from edgeprep.cli.progress import Steps, only_warnings, stopping
from edgeprep.conversion import Result, convert
from edgeprep.conversion.repair import Tried
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["run"]


def run(
    recipe: Recipe, output: Path, *, overwrite: bool, fresh: bool, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """The result as a table and as a document."""
    progress = stopping(only_warnings if quiet else Steps())
    result = convert(recipe, output, overwrite=overwrite, fresh=fresh, progress=progress)
    head = ("variant", "bytes", "parity", "metric", "value", "drop")
    table = format_table(head, [_row(variant) for variant in result.variants])
    source = result.manifest.source
    score = f"source {source.metric} {source.value:.4f}\n" if source.value is not None else ""
    return f"{score}{table}\n{_frontier(result)}{result.bundle}", result.to_json()


def _frontier(result: Result) -> str:
    """What was tried for the variants that lost too much at first; "" where none did."""
    rows = [
        (name, *_tried(tried))
        for name, trials in result.trials.items()
        if len(trials) > 1
        for tried in trials
    ]
    if not rows:
        return ""
    head = ("tried for the budget", "how", "value", "drop", "samples", "bytes", "ms")
    return f"{format_table(head, rows)}\n"


def _tried(tried: Tried) -> tuple[str, ...]:
    if tried.value is None:
        return str(tried.trial), "", "", "", "", "failed"
    figures = f"{tried.value:.4f}", f"{tried.drop:z.4f}", str(tried.samples)
    return str(tried.trial), *figures, str(tried.size_bytes), f"{tried.latency_ms:.3f}"


def _row(variant: Variant) -> tuple[str, ...]:
    metric = variant.metric
    scored = (metric.name, f"{metric.value:.4f}", f"{metric.drop:z.4f}") if metric else ("", "", "")
    return (variant.name, str(variant.size_bytes), f"{variant.parity.relative:.1e}", *scored)
