"""Pictures and what each of them is to become, in two directories."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.data.entry import Entry
from edgeprep.data.file_reader import FileReader, Stored, Text, how_to_turn
from edgeprep.data.pairs import Counterpart, paired
from edgeprep.errors import InputError
from edgeprep.interfaces import Task
from edgeprep.pictures import Orientation, read_picture, read_values
from edgeprep.truths import TruthKind

__all__ = ["PairedFolder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedFolder(FileReader):
    """Pictures below `path`, and for each its target of the same name below `targets`.

    Targets are pictures, as large or a whole number of times as large; or maps, in grey files of 8
    or 16 bits. Extensions may differ.

    Attributes:
        targets: the directory, relative to the recipe's.
        ending: how the names of pictures end before their extensions, such as "_noisy"; files
            that end otherwise are left alone.
        target_ending: the same of targets, such as "_clean".
        orientation: see `PlacedReader`: of pictures and targets.
        unit: of maps: what one level is worth, such as 0.001 where they are millimetres.
        unknown: of maps: the level of pixels whose value is not known; None where all are.
    """

    name: ClassVar[str] = "paired-folder"
    truths: ClassVar[tuple[TruthKind, ...]] = ("picture", "map")

    targets: Text
    ending: str = ""
    target_ending: str = ""
    orientation: Stored | None = None
    unit: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    unknown: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures below `path`.

        Raises:
            DataError: a directory is missing or empty, or their names do not fit.
        """
        read: Counterpart | None = None
        if task is not None:
            read = partial(_map, self.unit, self.unknown)
            if task.truth == "picture":
                read = partial(_target, how_to_turn(self.orientation, task))
        return paired(
            (directory / self.path, self.ending),
            (directory / self.targets, self.target_ending),
            read,
            (f"{where}.path", f"{where}.targets"),
            turn=how_to_turn(self.orientation, task),
        )


def _target(
    turn: Orientation, path: Path, name: str, picture: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    return read_picture(path, orientation=turn)


def _map(
    unit: float, unknown: int | None, path: Path, name: str, picture: NDArray[np.uint8]
) -> NDArray[np.float32]:
    levels = read_values(path)
    if levels.ndim != 2:
        raise InputError(f"{path}: must be a map, in grey, got a picture in colour")
    values = (levels * unit).astype(np.float32)
    if unknown is not None:
        values[levels == unknown] = np.nan
    return values
