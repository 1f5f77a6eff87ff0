"""An ensemble scored again, as this machine runs it, and its members beside it."""

from collections.abc import Sequence
from os import PathLike
from typing import Literal

from edgeprep.bundle import EnsembleBundle
from edgeprep.conversion.evaluate import check_task, evaluation_samples
from edgeprep.conversion.evaluation import Evaluation
from edgeprep.conversion.scoring import choose_metrics
from edgeprep.ensembles.score import score_ensemble
from edgeprep.errors import RecipeError
from edgeprep.recipe import EnsembleRecipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.opened import read_path
from edgeprep.runtime.opened_ensemble import OpenedEnsemble

__all__ = ["evaluate_ensemble"]


def evaluate_ensemble(
    path: str | PathLike[str],
    recipe: EnsembleRecipe,
    *,
    metrics: Sequence[str] | Literal["all"] | None = None,
    prefer: str | None = None,
    limit: int | None = None,
    registry: Registry | None = None,
) -> Evaluation:
    """Score an ensemble and each of its members, on what `edgeprep.open` chooses for them here.

    Args:
        path: its `.edgeprep` file.
        recipe: names the evaluation data and, in its budget, the metric that counts; its task is
            that of the bundle.
        metrics: as in `edgeprep.conversion.evaluate`.
        prefer: as in `edgeprep.open`.
        limit: at most so many samples.
        registry: where plugins are looked up; None: the installed ones.

    Returns:
        The ensemble first, then its members; `drops` of a member say how much worse it is.

    Raises:
        BundleError: the file is not a whole, unchanged bundle.
        RecipeError: the bundle is not of an ensemble, the recipe's task is not that of the bundle,
            or it names no evaluation data, or no metric that fits.
        DataError: the data cannot be used, or a metric has no value on them.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: a member has no candidate that can run here.
        StorageError: temporary files cannot be written.
    """
    registry = registry or default_registry()
    bundle = read_path(path)
    if not isinstance(bundle, EnsembleBundle):
        rule = "must be an ensemble, as in the recipe"
        raise RecipeError(f"{bundle.path}: {rule}, got the network {bundle.manifest.name!r}")
    opened = OpenedEnsemble(bundle, registry)
    check_task(recipe, registry, opened.task)
    chosen = choose_metrics(recipe, opened.task, metrics)
    samples = evaluation_samples(recipe, opened.task, limit)
    undefined: dict[str, str] | None = {} if metrics == "all" else None
    with opened.open(prefer=prefer, probe=True, seconds=2.0, scored=True) as session:
        evaluation, _ = score_ensemble(
            session, samples, chosen, fps=recipe.data.fps, undefined=undefined
        )
    return evaluation
