"""The heavy half of `edgeprep convert`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgeprep.bundle import Variant
from edgeprep.cli.progress import Steps
from edgeprep.conversion import Progress, convert, silent
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["run"]


def run(
    recipe: Recipe, output: Path, *, overwrite: bool, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """The result as a table and as a document."""
    progress: Progress = silent if quiet else Steps()
    with _without_torch_cache():
        result = convert(recipe, output, overwrite=overwrite, progress=progress)
    head = ("variant", "bytes", "relative error", "metric", "value", "drop")
    table = format_table(head, [_row(variant) for variant in result.variants])
    source = result.manifest.source
    score = f"source {source.metric} {source.value:.4f}\n" if source.value is not None else ""
    return f"{score}{table}\n{result.bundle}", result.to_json()


@contextmanager
def _without_torch_cache() -> Iterator[None]:
    """Inside, torch puts the cache of its compiler, which nothing here uses, where it goes away."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    with TemporaryDirectory(prefix="edgeprep-torch-") as directory:
        before = os.environ.get(name)
        os.environ[name] = before or directory
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]


def _row(variant: Variant) -> tuple[str, ...]:
    metric = variant.metric
    scored = (metric.name, f"{metric.value:.4f}", f"{metric.drop:z.4f}") if metric else ("", "", "")
    return (variant.name, str(variant.size_bytes), f"{variant.parity.relative:.1e}", *scored)
