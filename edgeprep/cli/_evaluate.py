"""The heavy half of `edgeprep evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from edgeprep.conversion import Evaluation, evaluate, evaluate_source
from edgeprep.conversion.evaluation import Score
from edgeprep.conversion.evaluation_report import check_report, write_report
from edgeprep.data import describe_count
from edgeprep.ensembles import evaluate_ensemble
from edgeprep.recipe import EnsembleRecipe, Recipe
from edgeprep.runtime.explain import format_table

__all__ = ["lines_of", "run"]


def run(
    bundle: str | None,
    recipe: Recipe | EnsembleRecipe,
    *,
    metrics: Sequence[str] | Literal["all"] | None,
    with_source: bool,
    prefer: str | None,
    limit: int | None,
    report: Path | None,
    overwrite: bool,
) -> tuple[str, dict[str, Any]]:
    """The scores as a table and as a document."""
    if report is not None:
        check_report(report, overwrite=overwrite)
    if isinstance(recipe, EnsembleRecipe):
        assert bundle is not None  # noqa: S101 -- as the command has checked
        evaluation = evaluate_ensemble(bundle, recipe, metrics=metrics, prefer=prefer, limit=limit)
    elif bundle is None:
        evaluation = evaluate_source(recipe, metrics=metrics, limit=limit)
    else:
        evaluation = evaluate(
            bundle, recipe, metrics=metrics, with_source=with_source, prefer=prefer, limit=limit
        )
    lines = lines_of(evaluation)
    if report is not None:
        files = write_report(evaluation, report, overwrite=overwrite)
        lines.append(f"report: {report}, {len(files)} files")
    return "\n".join(lines), evaluation.to_json()


def lines_of(evaluation: Evaluation) -> list[str]:
    """The scores as a table, and what could not be scored."""
    shown = [name for name in evaluation.metrics if name not in evaluation.undefined]
    # Of several metrics only the one that counts has its drop here; files and JSON have them all.
    drop = "drop" if len(shown) == 1 else f"{evaluation.metric} drop"
    head = ("variant", "backend", "device", "options", *shown, drop, "median ms")
    rows = [_row(score, shown, evaluation.metric) for score in evaluation.scores]
    lines = [_counted(evaluation), format_table(head, rows)]
    lines += [f"undefined: {reason}" for reason in evaluation.undefined.values()]
    lines += [f"rejected: {one.candidate}: {one.reason}" for one in evaluation.rejected]
    return lines


def _counted(evaluation: Evaluation) -> str:
    names = [one.name for one in evaluation.skipped]
    reason = next((one.reason for one in evaluation.skipped), "")
    return describe_count(evaluation.samples, names, reason)


def _row(score: Score, shown: Sequence[str], metric: str) -> tuple[str, ...]:
    return (
        score.candidate.variant,
        score.candidate.backend,
        score.candidate.device,
        " ".join(f"{key}={value}" for key, value in score.candidate.options.items()),
        *(f"{score.values[name]:.4f}" if name in score.values else "" for name in shown),
        f"{score.drops[metric]:z.4f}" if metric in score.drops else "",
        f"{score.timing.median_ms:.3f}",
    )
