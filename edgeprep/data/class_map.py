"""Which class of a task is meant by what data call it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeprep.data.reader import labels_of
from edgeprep.errors import DataError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.schema import join, name_first, nearest, nearest_or_all, show

__all__ = ["ClassMap", "Others", "warn_of_twice"]

Others = Literal["error", "ignore"]
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """Which class of a task is meant by what data call it.

    Attributes:
        labels: of the task.
        classes: labels by the names of the data, where they differ.
        others: what becomes of names that are in neither: "error", or "ignore".
    """

    labels: Sequence[str]
    classes: Mapping[str, str]
    others: Others

    @classmethod
    def of(cls, task: Task, classes: Mapping[str, str], others: Others, where: str) -> "ClassMap":
        """The map for the labels of `task`.

        Raises:
            RecipeError: `classes` names what is no label.
        """
        labels = labels_of(task)
        for name, label in classes.items():
            if label not in labels:
                place = join(f"{where}.classes", name)
                remedy = nearest_or_all(label, labels)
                raise RecipeError(f"{place}: must be a label of the task, got {label!r}{remedy}")
        return cls(labels=labels, classes=classes, others=others)

    def of_name(self, name: str, place: str) -> int | None:
        """The number of the class that data call `name`; None where it is to be ignored.

        Args:
            name: of the data.
            place: where it is from, and what it is, such as "data.training.path: category".

        Raises:
            DataError: there is no such label.
        """
        label = self.classes.get(name, name)
        if label in self.labels:
            return self.labels.index(label)
        if self.others == "ignore":
            return None
        remedy = nearest(name, self.labels)
        remedy = remedy or "; name its label in classes, or ignore such by others = 'ignore'"
        raise DataError(f"{place} must be a label of the task, got {show(name)}{remedy}")

    def of_number(self, number: int, place: str) -> int | None:
        """The same for data that count their classes.

        Numbers are those of the labels, in their order; but where `classes` is given, they are
        names like others.

        Raises:
            DataError: there is no such label.
        """
        if self.classes:
            return self.of_name(str(number), place)
        if 0 <= number < len(self.labels):
            return number
        if self.others == "ignore":
            return None
        rule = f"must be in 0..{len(self.labels) - 1}, got {show(number)}"
        raise DataError(f"{place} {rule}; the task has {len(self.labels)} labels")


def warn_of_twice(names: Sequence[str], what: str) -> None:
    """Say which of `names` are there twice; data go by names, and such classes become one.

    Args:
        names: of the classes that data have.
        what: where they are from, such as "data.training.path: categories".
    """
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        message = "%s should have names that differ, got %s more than once; they become one class"
        logging.getLogger("edgeprep").warning(message, what, name_first(_NAMED, twice))
