"""One kind of data of a recipe: training, validation or evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeprep.data import FromFactory, Reader, Samples, build_reader
from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.recipe import Recipe

__all__ = ["Split", "open_split"]

Name = Literal["training", "validation", "evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What can be read again and again.

    Attributes:
        where: its path in the recipe, such as "data.training".
        reader: what reads it.
        directory: of the recipe.
        labels: the names of the classes; None where samples are not checked for labels.
        labelled: whether its first sample has a label.
    """

    where: str
    reader: Reader
    directory: Path
    labels: Sequence[str] | None
    labelled: bool

    @property
    def changes(self) -> bool:
        """Whether every epoch has samples of its own."""
        return isinstance(self.reader, FromFactory) and self.reader.per_epoch

    def samples(self, epoch: int) -> Samples:
        """What is read in `epoch`, from 0."""
        labels = self.labels if self.labelled else None
        return _open(self.reader, epoch, self.directory, self.where, labels)


def open_split(recipe: Recipe, name: Name, task: Task) -> Split | None:
    """The data `name` of `recipe`; None where it names none.

    The first sample is read, to see whether there are labels. Where there are, every sample must
    have one, and every class a sample.

    Raises:
        RecipeError: the table breaks a rule.
        DataError: there is nothing to read, or there are no labels to score by.
    """
    table = getattr(recipe.data, name)
    if table is None:
        return None
    where, directory = f"data.{name}", recipe.directory
    reader = build_reader(table, where)
    if name != "training":
        # What changes from epoch to epoch is refused here.
        reader.open(directory=directory, where=where)
    labelled = next(iter(_open(reader, 0, directory, where, None)))[1] is not None
    if name != "training" and not labelled:
        raise DataError(f"{where}: must have labels, got pictures without")
    labels = getattr(task, "labels", None)
    return Split(where=where, reader=reader, directory=directory, labels=labels, labelled=labelled)


def _open(
    reader: Reader, epoch: int, directory: Path, where: str, labels: Sequence[str] | None
) -> Samples:
    if isinstance(reader, FromFactory):
        reader = reader.at_epoch(epoch)
    return reader.open(directory=directory, where=where, labels=labels)
