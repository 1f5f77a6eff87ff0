"""The heavy half of `edgeprep zoo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprep.cli.progress import only_warnings, stopping
from edgeprep.cli.training_steps import TrainingSteps
from edgeprep.data import Progress
from edgeprep.runtime.explain import format_table
from edgeprep.train.watching import Watch, unwatched
from edgeprep.zoo import ZooModel
from edgeprep.zoo.train import train_model
from edgeprep.zoo.verify import verify_model

__all__ = ["train", "verify"]


def train(
    model: ZooModel, output: Path, *, overwrite: bool, quiet: bool
) -> tuple[str, dict[str, Any]] | None:
    """The result in words and as a document; None where another process has it."""
    progress, watch = _shown(quiet=quiet)
    trained = train_model(model, output, overwrite=overwrite, progress=progress, watch=watch)
    if trained is None:
        return None
    text = f"{trained.metric} {trained.value:.4f} on data.evaluation"
    if trained.card is not None:
        text += f"; {trained.card} in the card of the zoo's own weights"
    return f"{text}\n{trained.weights}", trained.to_json()


def verify(models: Sequence[ZooModel], *, quick: bool, quiet: bool) -> tuple[str, dict[str, Any]]:
    """What was found, as a table and as a document."""
    progress, _ = _shown(quiet=quiet)
    found = [verify_model(model, quick=quick, progress=progress) for model in models]
    rows = [
        (one.name, check.name, "passed" if check.passed else "failed", check.said)
        for one in found
        for check in one.checks
    ]
    passed = all(one.passed for one in found)
    document = {"passed": passed, "models": [one.to_json() for one in found]}
    return format_table(("model", "check", "verdict", "found"), rows), document


def _shown(*, quiet: bool) -> tuple[Progress, Watch]:
    if quiet:
        return stopping(only_warnings), unwatched
    steps = TrainingSteps()
    return stopping(steps), steps.watch
