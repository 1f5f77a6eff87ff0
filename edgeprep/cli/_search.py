"""The heavy half of `edgeprep search`."""

from pathlib import Path
from typing import Any

from edgeprep.cli.progress import Steps, only_warnings, stopping
from edgeprep.conversion.points import Point
from edgeprep.conversion.recipe_text import recipe_text
from edgeprep.conversion.search import search
from edgeprep.errors import OutputRefused
from edgeprep.files import atomic_write, check_output
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["run"]


def run(
    recipe: Recipe,
    path: Path,
    output: Path,
    *,
    minutes: float | None,
    overwrite: bool,
    fresh: bool,
    quiet: bool,
) -> tuple[str, dict[str, Any]]:
    """What was found as a table and as a document, once the chosen recipe is written."""
    _check_place(path, output)
    check_output(output, overwrite=overwrite)
    progress = stopping(only_warnings if quiet else Steps())
    found = search(recipe, minutes=minutes, fresh=fresh, progress=progress)
    comment = f"{found.chosen.combination}; chosen by `edgeprep search {path.name}`"
    text = recipe_text(found.recipe, comment)
    atomic_write(output, [text.encode()], overwrite=overwrite)
    head = ("", "variant", "pruned", "placement", "calibrator", "value", "drop", "ms", "bytes")
    rows = [_row(point, chosen=point == found.chosen) for point in found.front]
    failed = [
        f"failed: {one.variant}, {one.combination}: {one.fault}"
        for one in found.points
        if one.value is None
    ]
    left = [f"{found.left} points left: time is up"] if found.left else []
    count = f"{len(found.points)} points on the {found.data} data; those that no other one beats:"
    lines = [count, format_table(head, rows), *failed, *left, str(output)]
    return "\n".join(lines), {**found.to_json(), "recipe": str(output)}


def _row(point: Point, *, chosen: bool) -> tuple[str, ...]:
    way = point.combination
    return (
        "chosen" if chosen else "",
        point.variant,
        "as the recipe" if way.prune is None else f"{way.prune:g}",
        way.placement,
        way.calibrator,
        f"{point.value:.4f}",
        f"{point.drop:z.4f}",
        f"{point.latency_ms:.3f}",
        str(point.size_bytes),
    )


def _check_place(path: Path, output: Path) -> None:
    """Relative paths of the recipe start where it lies, and would lead elsewhere from elsewhere."""
    if output.parent.resolve() != path.parent.resolve():
        rule = f"must lie beside {path.name!r}, where its paths start"
        raise OutputRefused(f"{output}: {rule}, got {str(output.parent)!r}")
    if output.resolve() == path.resolve():
        raise OutputRefused(
            f"{output}: must not be the recipe itself, which would be replaced, got {output.name!r}"
        )
