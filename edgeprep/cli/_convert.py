"""The heavy half of `edgeprep convert`."""

from pathlib import Path
from typing import Any

from edgeprep.bundle import Variant
from edgeprep.cli.progress import Steps, stopping
from edgeprep.conversion import Progress, convert, silent
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["run"]


def run(
    recipe: Recipe, output: Path, *, overwrite: bool, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """The result as a table and as a document."""
    progress: Progress = silent if quiet else Steps()
    result = convert(recipe, output, overwrite=overwrite, progress=stopping(progress))
    head = ("variant", "bytes", "parity", "metric", "value", "drop")
    table = format_table(head, [_row(variant) for variant in result.variants])
    source = result.manifest.source
    score = f"source {source.metric} {source.value:.4f}\n" if source.value is not None else ""
    return f"{score}{table}\n{result.bundle}", result.to_json()


def _row(variant: Variant) -> tuple[str, ...]:
    metric = variant.metric
    scored = (metric.name, f"{metric.value:.4f}", f"{metric.drop:z.4f}") if metric else ("", "", "")
    return (variant.name, str(variant.size_bytes), f"{variant.parity.relative:.1e}", *scored)
