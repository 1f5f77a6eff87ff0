"""What readers of files have in common: the part that is meant, its order, what is left out."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgeprep.data.class_map import ClassMap, Others
from edgeprep.data.draw import draw_evenly
from edgeprep.data.entry import Entry
from edgeprep.data.part import Side, listed, one_side
from edgeprep.data.reader import Reader, need_truth
from edgeprep.data.samples import Named, Samples, Skipped
from edgeprep.errors import DataError, InputError, RecipeError, StorageError
from edgeprep.interfaces import Task
from edgeprep.pictures import Orientation

__all__ = ["FileReader", "LabelledReader", "PlacedReader", "Stored", "Text", "how_to_turn"]

Text = Annotated[str, msgspec.Meta(min_length=1)]
Seed = Annotated[int, msgspec.Meta(ge=0)]
Stored = Literal["exif", "stored"]

# Truths that say where in a picture something is.
_PLACED = ("boxes", "mask", "map", "picture")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader(Reader):
    """Pictures in files.

    Attributes:
        path: of the data, relative to the recipe's directory.
        limit: at most so many pictures, drawn evenly from the classes where each has one. All of
            them, in their order, where it is not given.
        seed: of that draw.
        listed_in: a text file, relative to the recipe's directory, that names the pictures that
            are meant, one a line.
        split: one side of what is there: "validation" is what is held out, "training" the rest.
            Tables with the same `held_out` and `split_seed` have no picture in common.
        held_out: the share that is held out, of every class where each picture has one.
        split_seed: another one holds out others; the split does not depend on `seed`.
        unreadable: the share of pictures that may be left out; absent: 0.1, and 100 at most.
    """

    path: Text
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seed: Seed = 0
    listed_in: Text | None = None
    split: Side | None = None
    held_out: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    split_seed: Seed = 0
    unreadable: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None

    def __post_init__(self) -> None:
        given, missing = ("split", "held_out") if self.split else ("held_out", "split")
        if getattr(self, given) is not None and getattr(self, missing) is None:
            rule = f"must be given where {given} is"
            raise RecipeError(f"{missing}: {rule}, got None; both sides need the same held_out")

    @abstractmethod
    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """Everything that is there, in its order.

        Args:
            directory: of the recipe.
            where: the path of the table in its recipe.
            task: whose truths are asked for; None where none are.

        Raises: as `open`.
        """

    def open(self, *, directory: Path, where: str, task: Task | None = None) -> Samples:
        """The pictures of the part that is meant.

        Raises:
            RecipeError: the task is held against something else.
            DataError: what the table names is not there or cannot serve, or has a class that the
                task does not know.
        """
        if task is not None and self.truths:
            need_truth(task, self.truths, self.name, where)
        entries = self.entries(directory=directory, where=where, task=task)
        _check_names(entries, where)
        if self.listed_in is not None:
            # What the recipe ignores by its class may be named, and what has no mask may not.
            known = [entry for entry in entries if entry.meant or entry.kind is not None]
            entries = listed(known, directory / self.listed_in, f"{where}.listed_in")
        if self.split is not None and self.held_out is not None:
            entries = one_side(entries, self.split, self.held_out, self.split_seed)
        # Only now: lists name them, too.
        entries = [entry for entry in entries if entry.meant]
        if self.limit is not None:
            entries = draw_evenly(entries, self.seed)
        side = f", {self.split} part" if self.split else ""
        return Samples(
            partial(_read, entries),
            where=where,
            description=f"pictures in {self.path}{side}",
            task=task,
            limit=self.limit,
            total=len(entries),
            unreadable=self.unreadable,
            reread=lambda place: entries[place].picture(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledReader(FileReader):
    """Pictures in files whose classes have names, or numbers.

    Attributes:
        classes: labels of the task by the names of the data, where they differ.
        others: what becomes of names that are in neither: "error", or "ignore".
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    others: Others = "error"

    def class_map(self, task: Task, where: str) -> ClassMap:
        """Which class of `task` is meant by what the data call it.

        Raises:
            RecipeError: `classes` names what is no label.
        """
        return ClassMap.of(task, self.classes, self.others, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedReader(LabelledReader):
    """Pictures in files, with what is where in them.

    Attributes:
        orientation: what boxes and masks are about where EXIF says to turn a picture: "exif", the
            upright one; "stored", the one before, which is then what is read. Absent: pictures
            that are to be turned are left out and counted where there are boxes or masks.
    """

    orientation: Stored | None = None


def how_to_turn(orientation: Stored | None, task: Task | None) -> Orientation:
    """How pictures are read for `task` by a reader with this key."""
    if orientation is None and task is not None and task.truth in _PLACED:
        return "refuse"
    return orientation or "exif"


def _check_names(entries: Sequence[Entry], where: str) -> None:
    seen = set[str]()
    for entry in entries:
        if entry.name in seen:
            raise DataError(
                f"{where}.path: names of pictures must differ, got {entry.name!r} twice"
            )
        seen.add(entry.name)


def _read(entries: Sequence[Entry]) -> Iterator[Named | Skipped]:
    for entry in entries:
        try:
            picture = entry.picture()
            truth = entry.truth(picture)
        except (InputError, StorageError) as error:
            yield Skipped(name=entry.name, reason=str(error))
            continue
        yield Named(name=entry.name, picture=picture, truth=truth)
