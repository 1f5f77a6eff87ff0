"""The heavy half of `edgeprep evaluate`."""

from typing import Any

from edgeprep.conversion import evaluate
from edgeprep.recipe import Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["run"]


def run(
    bundle: str, recipe: Recipe, *, prefer: str | None, limit: int | None
) -> tuple[str, dict[str, Any]]:
    """The scores as a table and as a document."""
    evaluation = evaluate(bundle, recipe, prefer=prefer, limit=limit)
    head = ("variant", "backend", "device", "options", evaluation.metric, "drop", "median ms")
    rows = [
        (
            score.candidate.variant,
            score.candidate.backend,
            score.candidate.device,
            " ".join(f"{key}={value}" for key, value in score.candidate.options.items()),
            f"{score.value:.4f}",
            "" if score.drop is None else f"{score.drop:z.4f}",
            f"{score.timing.median_ms:.3f}",
        )
        for score in evaluation.scores
    ]
    lines = [f"{evaluation.samples} samples", format_table(head, rows)]
    lines += [f"rejected: {one.candidate}: {one.reason}" for one in evaluation.rejected]
    return "\n".join(lines), evaluation.to_json()
