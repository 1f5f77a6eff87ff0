"""The directory of a training: what may go on in it, and what is left in the end."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprep.errors import (
    CheckpointError,
    DataError,
    OutputExists,
    OutputRefused,
    RecipeError,
    StorageError,
)
from edgeprep.files import atomic_write
from edgeprep.recipe import TrainTable
from edgeprep.train.checkpoint import read_checkpoint
from edgeprep.train.files import (
    CHECKPOINT,
    CURVE,
    EPOCH,
    RESULT,
    ROWS,
    STATE,
    TABLE,
    WEIGHTS,
    remove_files,
)
from edgeprep.train.history import Row
from edgeprep.train.made_from import other_settings

__all__ = ["Trained", "claim", "finish", "holds_training", "prepared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished training of a recipe.

    Attributes:
        directory: where everything lies.
        epochs: how many there were.
        best: the number of the one whose weights are kept, from 1.
        metric: how networks were scored; "" where nothing was.
        validation: the score of these weights on the data by which they were chosen.
        evaluation: their score on the evaluation data, which nothing was chosen by.
        warnings: what a user should know of the data.
    """

    directory: Path
    epochs: int
    best: int
    metric: str
    validation: float | None
    evaluation: float | None
    warnings: tuple[str, ...]

    @property
    def weights(self) -> Path:
        """The best weights, as `[model]` reads them."""
        return self.directory / WEIGHTS

    @property
    def checkpoint(self) -> Path:
        """The state after the last epoch."""
        return self.directory / CHECKPOINT

    @property
    def metrics(self) -> Path:
        """A line an epoch."""
        return self.directory / TABLE

    @property
    def curve(self) -> Path:
        """The same as a picture."""
        return self.directory / CURVE

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep train --format json` prints it, and `result.json` keeps it."""
        return {
            "directory": str(self.directory),
            "weights": str(self.weights),
            "checkpoint": str(self.checkpoint),
            "metrics": str(self.metrics),
            "curve": str(self.curve),
            "epochs": self.epochs,
            "best_epoch": self.best,
            "metric": self.metric,
            "validation": self.validation,
            "evaluation": self.evaluation,
            "warnings": list(self.warnings),
        }


def claim(directory: Path, settings: TrainTable, *, overwrite: bool) -> None:
    """Make sure that a training with `settings` may begin or go on in `directory`.

    Nothing is written yet.

    Raises:
        OutputExists: a training was finished there, or files of its names are there that none
            has left, and `overwrite` is False.
        OutputRefused: it is no directory.
    """
    if directory.exists() and not directory.is_dir():
        raise OutputRefused(f"{directory}: must be a directory, got a file")
    if (directory / RESULT).exists() and not overwrite:
        others = _others(directory, settings)
        raise OutputExists(
            f"{directory}: holds a finished training{others}; pass --overwrite (overwrite=True) to "
            "train anew, or name another directory"
        )
    # A training of ours begins with its rows.
    strange = [name for name in (WEIGHTS, TABLE, CURVE) if (directory / name).exists()]
    if strange and not (directory / ROWS).exists() and not overwrite:
        raise OutputExists(
            f"{directory}: must hold no files that a training would replace, got {strange[0]!r}; "
            "pass --overwrite (overwrite=True) to replace them, or name another directory"
        )


def _others(directory: Path, settings: TrainTable) -> str:
    """How the training in `directory` was set otherwise, for people; "" where it was not."""
    # What is damaged is no more than finished.
    with suppress(CheckpointError, StorageError):
        checkpoint = read_checkpoint(directory / CHECKPOINT)
        changes = other_settings(checkpoint.made_from, settings) if checkpoint else ""
        return f" of other settings ({changes})" if changes else ""
    return ""


def holds_training(directory: Path) -> bool:
    """Whether a training was begun in `directory`."""
    return (directory / CHECKPOINT).exists()


@contextmanager
def prepared(directory: Path, *, overwrite: bool) -> Iterator[None]:
    """Inside, there is `directory`, and no other training works in it.

    A training that is refused before its first epoch has ended leaves nothing of its own.

    Args:
        directory: of the training.
        overwrite: whether nothing goes on that a training before has left in it. Its weights, its
            metrics and its curve stay until there are new ones.

    Raises:
        StorageError: it cannot be made or written to, or another training is under way in it.
    """
    # Here, as Windows has no such locks, and no training, but other users of this room.
    from edgeprep.alone import alone_in

    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    with _gone_if_refused(directory, made), alone_in(directory, "training"):
        remove_files((directory / name for name in STATE if overwrite), directory)
        try:
            (directory / ROWS).touch()
        except OSError as error:
            raise _unwritable(directory, error) from error
        yield


@contextmanager
def _gone_if_refused(directory: Path, made: Sequence[Path]) -> Iterator[None]:
    """Inside, a refusal takes along what was begun here, and `made`, the innermost first."""
    began = not any((directory / name).exists() for name in (*STATE, ROWS))
    try:
        yield
    except (DataError, RecipeError):
        rows = directory / ROWS
        if began and not rows.stat().st_size and not (directory / EPOCH).exists():
            remove_files((directory / CHECKPOINT, rows), directory)
            # One may hold what is not ours.
            with suppress(OSError):
                for path in made:
                    path.rmdir()
        raise


def _unwritable(directory: Path, error: OSError) -> StorageError:
    rule = "must be a directory that can be written"
    return StorageError(f"{directory}: {rule}, got {error.strerror!r}")


def finish(trained: Trained, rows: Sequence[Row]) -> None:
    """Draw the curve of `rows`, and write what says that a training is finished.

    Raises:
        StorageError: it cannot be written.
    """
    # Here, as matplotlib is slow to import, and only the end of a training draws.
    from edgeprep.train.curve import draw_curve

    draw_curve(trained.directory / CURVE, rows, trained.best)
    content = json.dumps({"schema_version": 1, **trained.to_json()}, indent=1)
    atomic_write(trained.directory / RESULT, [content.encode()], overwrite=True)
