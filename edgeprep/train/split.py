"""One kind of data of a recipe: training, validation or evaluation."""

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
        task: says what labels are.
        labelled: whether its first sample has one.
    """

    where: str
    reader: Reader
    directory: Path
    task: Task
    labelled: bool

    @property
    def changes(self) -> bool:
        """Whether every epoch has samples of its own."""
        return isinstance(self.reader, FromFactory) and self.reader.per_epoch

    def samples(self, epoch: int) -> Samples:
        """What is read in `epoch`, from 0."""
        task = self.task if self.labelled else None
        reader = _at_epoch(self.reader, epoch)
        return reader.open(directory=self.directory, where=self.where, task=task)


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
    first = _at_epoch(reader, 0)
    labelled = first.is_labelled(directory=directory, where=where, task=task)
    if name != "training" and not labelled:
        raise DataError(f"{where}: must have labels, got pictures without")
    return Split(where=where, reader=reader, directory=directory, task=task, labelled=labelled)


def _at_epoch(reader: Reader, epoch: int) -> Reader:
    return reader.at_epoch(epoch) if isinstance(reader, FromFactory) else reader
