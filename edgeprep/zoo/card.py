"""What a model's card says: text for people, with a table that is read again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgeprep.errors import StorageError
from edgeprep.files import open_regular

__all__ = ["CARD", "Card"]

CARD = "card.md"
_ROW = re.compile(r"^\| (?P<fact>[^|]+) \| (?P<value>[^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """A card, as tools/generate_zoo wrote it.

    Attributes:
        text: all of it, Markdown.
    """

    text: str

    @classmethod
    def read(cls, directory: Path) -> "Card":
        """The card of the model in `directory`.

        Raises:
            StorageError: there is none, or it is no text.
        """
        path = directory / CARD
        with open_regular(path) as stream:
            content = stream.read()
        try:
            return cls(content.decode())
        except UnicodeDecodeError as error:
            got = content[error.start : error.end]
            raise StorageError(f"{path}: must be UTF-8, got {got!r}") from error

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The rows of its table, by their first column."""
        return {row["fact"]: row["value"].strip("`") for row in _ROW.finditer(self.text)}

    def number(self, fact: str) -> float | None:
        """The number in the row `fact`; None where there is no such row, or none in it."""
        try:
            return float(self.facts[fact])
        except (KeyError, ValueError):
            return None
