"""The heavy half of `edgeprep train`."""

from pathlib import Path
from typing import Any

import click

from edgeprep.cli.progress import only_warnings, stopping
from edgeprep.cli.training_steps import TrainingSteps
from edgeprep.data import Progress
from edgeprep.recipe import Recipe
from edgeprep.train import Trained, holds_training, train_recipe
from edgeprep.train.watching import Watch, unwatched

__all__ = ["run"]


def run(
    recipe: Recipe, output: Path, *, overwrite: bool, resume: bool, quiet: bool
) -> tuple[str, dict[str, Any]] | None:
    """The result in words and as a document; None where another process has it."""
    if resume and not holds_training(output):
        raise click.UsageError(f"--resume: {output} must hold a training, got none")
    steps = TrainingSteps()
    progress: Progress = only_warnings if quiet else steps
    watch: Watch = unwatched if quiet else steps.watch
    trained = train_recipe(
        recipe, output, overwrite=overwrite, progress=stopping(progress), watch=watch
    )
    return None if trained is None else (_describe(trained), trained.to_json())


def _describe(trained: Trained) -> str:
    scores = {"validation": trained.validation, "evaluation": trained.evaluation}
    lines = [f"best epoch {trained.best} of {trained.epochs}"]
    lines += [
        f"{trained.metric} {score:.4f} on data.{name}"
        for name, score in scores.items()
        if score is not None
    ]
    beside = ", ".join(file.name for file in (trained.checkpoint, trained.metrics, trained.curve))
    return "\n".join([*lines, f"beside the weights: {beside}", str(trained.weights)])
