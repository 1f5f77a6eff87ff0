"""What reads one kind of data set."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from edgeprep.data.samples import Samples

__all__ = ["Reader"]


class Reader(ABC):
    """One kind of data set. Implementations are frozen values; their fields are the recipe's keys.

    Attributes:
        name: what a recipe calls it, as `use`.
    """

    name: ClassVar[str]

    @abstractmethod
    def open(self, *, directory: Path, where: str, labels: Sequence[str] | None = None) -> Samples:
        """The samples; pictures are read when they are asked for.

        Args:
            directory: of the recipe: relative paths start there.
            where: the path of the table in its recipe, such as "data.evaluation".
            labels: the names of the task's classes, where each sample must have a label.

        Raises:
            RecipeError: what the table names is not there.
            DataError: what it names cannot serve.
        """
