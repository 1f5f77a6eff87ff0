"""One picture of a data set, before it is read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "Judge", "always", "nothing"]

Read = Callable[[], NDArray[np.uint8]]
Judge = Callable[[NDArray[np.uint8]], object]


def nothing(picture: NDArray[np.uint8]) -> None:
    """The truth of a picture that nobody asks for."""


def always(truth: object) -> Judge:
    """What gives `truth` for any picture."""
    return lambda picture: truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture of a data set, before it is read.

    Attributes:
        name: in messages and in lists; no other entry of the data has it.
        picture: reads it; raises InputError or StorageError where it cannot be read.
        truth: of the picture that was read, as `check_truth` takes it; raises InputError or
            StorageError where it cannot be read, and DataError where all of the data are at fault.
        kind: what the data call its class, whatever a task makes of it; None where it has no or
            several classes.
        meant: whether it is read at all: not where the recipe says that its class is ignored.
        lone: whether it stands for a label without a picture, which only those tables have that ask
            for labels; splits do without.
    """

    name: str
    picture: Read
    truth: Judge = nothing
    kind: str | None = None
    meant: bool = True
    lone: bool = False
