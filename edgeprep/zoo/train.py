"""A model of the zoo, trained anew: by its own train.py where it has one, else by its recipe."""

import subprocess
import sys
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from edgeprep.data import Progress, silent
from edgeprep.errors import OutputExists, OutputRefused, StorageError, TrainingError
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry
from edgeprep.train import train_recipe
from edgeprep.train.files import WEIGHTS
from edgeprep.train.watching import Watch, unwatched
from edgeprep.zoo.models import ZooModel
from edgeprep.zoo.verify import score

__all__ = ["SCRIPT", "ZooTraining", "train_model"]

SCRIPT = "train.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooTraining:
    """What a training came to.

    Attributes:
        name: of the model.
        weights: the file of the new weights.
        metric: by which they were scored on the evaluation data.
        value: their score.
        card: that of the zoo's own weights; None where their card does not say.
    """

    name: str
    weights: Path
    metric: str
    value: float
    card: float | None

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep zoo train --format json` prints it."""
        return {
            "name": self.name,
            "weights": str(self.weights),
            "metric": self.metric,
            "value": self.value,
            "card": self.card,
        }


def train_model(
    model: ZooModel,
    output: str | PathLike[str],
    *,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
) -> ZooTraining | None:
    """Train `model` anew, and score what comes of it on its evaluation data.

    Args:
        model: of a zoo, or a copy.
        output: the directory for weights, and what else the training leaves.
        overwrite: whether a training that is there already may be replaced. One by a recipe that
            was ended there goes on.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every epoch of a recipe's training; a script prints for itself.
        watch: is told of every step of it.

    Returns:
        What came out; None in a process that only helped another one.

    Raises:
        OutputExists: there are weights in `output`, and `overwrite` is False.
        TrainingError: the script of the model failed.
        StorageError: `output` cannot be written.
        EdgePrepError: see `edgeprep.train.train_recipe`.
    """
    directory = Path(output)
    if (model.directory / SCRIPT).is_file():
        weights = _by_script(model, directory, overwrite=overwrite)
    else:
        trained = train_recipe(
            model.recipe,
            directory,
            overwrite=overwrite,
            registry=registry,
            progress=progress,
            watch=watch,
        )
        if trained is None:
            return None
        weights = trained.weights
        if trained.evaluation is not None:
            return _training(model, weights, trained.evaluation)
    value, _ = score(_with_weights(model.recipe, weights), registry)
    return _training(model, weights, value)


def _training(model: ZooModel, weights: Path, value: float) -> ZooTraining:
    try:
        card = model.card.number(model.metric)
    except StorageError:
        # As before its first training.
        card = None
    return ZooTraining(
        name=model.name, weights=weights, metric=model.metric, value=value, card=card
    )


def _with_weights(recipe: Recipe, weights: Path) -> Recipe:
    return replace(recipe, model=replace(recipe.model, weights=str(weights.resolve())))


def _by_script(model: ZooModel, directory: Path, *, overwrite: bool) -> Path:
    weights = directory / WEIGHTS
    if directory.exists() and not directory.is_dir():
        raise OutputRefused(f"{directory}: must be a directory, got a file")
    if weights.exists() and not overwrite:
        raise OutputExists(
            f"{directory}: holds weights; pass --overwrite (overwrite=True) to train anew, or name "
            "another directory"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule = f"{directory}: must be a directory that can be written"
        raise StorageError(f"{rule}, got {error.strerror!r}") from error
    script = (model.directory / SCRIPT).resolve()
    # Under another name at first: weights that are there are whole.
    fresh = directory / f".{WEIGHTS}"
    command = [sys.executable, str(script), "--output", str(fresh.resolve())]
    ended = subprocess.run(command, check=False)  # noqa: S603 -- a file of the zoo
    if ended.returncode or not fresh.is_file():
        fresh.unlink(missing_ok=True)
        got = f"exit code {ended.returncode}" if ended.returncode else "none"
        raise TrainingError(f"{model.name}: {SCRIPT} must end with weights, got {got}")
    fresh.replace(weights)
    return weights
