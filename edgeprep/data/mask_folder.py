"""Pictures and the class of each of their pixels, in two directories."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from edgeprep.data.class_map import ClassMap
from edgeprep.data.entry import Entry
from edgeprep.data.file_reader import PlacedReader, Text, how_to_turn
from edgeprep.data.painter import Painter
from edgeprep.data.pairs import Counterpart, paired
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.schema import join
from edgeprep.truths import IGNORED, TruthKind

__all__ = ["MaskFolder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder(PlacedReader):
    """Pictures below `path`, and for each its mask of the same name below `masks`.

    A mask is a file without loss, of a palette or in grey, whose values are the numbers of the
    labels; 255 is where no class is asked for. `classes` names labels by values, such as "7", or
    by colours, such as "#804080" or "128, 64, 128". What is in it neither is an error, or 255 for
    `others = "ignore"`.

    Attributes:
        masks: the directory, relative to the recipe's.
        ending: how the names of pictures end before their extensions, such as "_leftImg8bit";
            files that end otherwise are left alone.
        mask_ending: the same of masks, such as "_gtFine_labelIds".
    """

    name: ClassVar[str] = "mask-folder"
    truths: ClassVar[tuple[TruthKind, ...]] = ("mask",)

    masks: Text
    ending: str = ""
    mask_ending: str = ""

    def __post_init__(self) -> None:
        PlacedReader.__post_init__(self)
        for name in self.classes:
            place = join("classes", name)
            if not name.isdecimal() and _colour(name) is None:
                rule = "must begin with a value or a colour, such as '7' or '#804080'"
                raise RecipeError(f"{place}: {rule}, got {name!r}")
            if name.isdecimal() != next(iter(self.classes)).isdecimal():
                rule = "must be a value as the others, or all must be colours"
                raise RecipeError(f"{place}: {rule}, got {name!r}")

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures below `path`.

        Raises:
            DataError: a directory is missing or empty, or their names do not fit.
        """
        read: Counterpart | None = None
        if task is not None:
            class_map = self.class_map(task, where)
            colours = {_colour(name): label for name, label in self.classes.items()}
            if colours and None not in colours:
                by_colour = {str(colour): label for colour, label in colours.items()}
                class_map = replace(class_map, classes=by_colour)
                number_of = partial(_number_of_colour, class_map)
                read = Painter(number_of, f"{where}.masks").of_colours
            else:
                number_of = partial(_number_of_value, class_map)
                read = Painter(number_of, f"{where}.masks").of_values
        return paired(
            (directory / self.path, self.ending),
            (directory / self.masks, self.mask_ending),
            read,
            (f"{where}.path", f"{where}.masks"),
            turn=how_to_turn(self.orientation, task),
        )


def _number_of_value(class_map: ClassMap, value: int, place: str) -> int | None:
    if value == IGNORED and str(IGNORED) not in class_map.classes:
        return None
    return class_map.of_number(value, f"{place} value")


def _number_of_colour(class_map: ClassMap, value: int, place: str) -> int | None:
    colour = value >> 16, value >> 8 & 255, value & 255
    return class_map.of_name(str(colour), f"{place} colour")


def _colour(name: str) -> tuple[int, ...] | None:
    """Red, green and blue, in 0..255, of "#804000" or "128, 64, 0"; None of anything else."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        return tuple(bytes.fromhex(name[1:]))
    parts = [part.strip() for part in name.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
        return None
    return tuple(map(int, parts))
