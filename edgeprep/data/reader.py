"""What reads one kind of data set."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from edgeprep.data.samples import Samples
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.truths import TruthKind

__all__ = ["Reader", "labels_of", "need_truth"]


class Reader(ABC):
    """One kind of data set. Implementations are frozen values; their fields are the recipe's keys.

    Attributes:
        name: what a recipe calls it, as `use`.
        truths: what its samples can be held against; () where it does not know before it reads.
    """

    name: ClassVar[str]
    truths: ClassVar[tuple[TruthKind, ...]] = ()

    @abstractmethod
    def open(self, *, directory: Path, where: str, task: Task | None = None) -> Samples:
        """The samples; pictures are read when they are asked for.

        Args:
            directory: of the recipe: relative paths start there.
            where: the path of the table in its recipe, such as "data.evaluation".
            task: where each sample must have what this task is held against.

        Raises:
            RecipeError: what the table names is not there.
            DataError: what it names cannot serve.
        """

    def is_labelled(self, *, directory: Path, where: str, task: Task) -> bool:
        """Whether samples have what `task` is held against, by the first one.

        Raises: see `open`.
        """
        if self.truths:
            return task.truth in self.truths
        return next(iter(self.open(directory=directory, where=where)))[1] is not None


def need_truth(task: Task, kinds: tuple[TruthKind, ...], name: str, where: str) -> None:
    """Refuse a task that is not held against what the reader `name` gives.

    Raises:
        RecipeError: it is held against something else.
    """
    if task.truth not in kinds:
        given = " or ".join(f"{kind!r}" for kind in kinds)
        rule = f"must be data with truths of kind {task.truth!r}, which task {task.name!r} needs"
        raise RecipeError(f"{where}.use: {rule}, got {name!r}, which has {given}")


def labels_of(task: Task) -> Sequence[str]:
    """The names of its classes; () where they have none."""
    return tuple(getattr(task, "labels", ()))
