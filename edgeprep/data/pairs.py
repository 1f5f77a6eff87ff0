"""Pictures and what belongs to each of them in another directory."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.entry import Entry, Judge, nothing
from edgeprep.data.picture_files import by_stem, pictures_below, reading
from edgeprep.errors import DataError, InputError
from edgeprep.pictures import Orientation

__all__ = ["Counterpart", "paired"]

# Reads what belongs to a picture: from its path, called by its name, for that picture.
Counterpart = Callable[[Path, str, NDArray[np.uint8]], object]


def paired(
    pictures: tuple[Path, str],
    others: tuple[Path, str],
    read: Counterpart | None,
    where: tuple[str, str],
    lone: Literal["refuse", "leave"] = "refuse",
    turn: Orientation = "exif",
) -> list[Entry]:
    """The pictures of one directory with their counterparts of another, by name.

    A picture without a counterpart cannot be read, and neither can a counterpart without a
    picture: each of them is an entry that says so.

    Args:
        pictures: the directory, and how names in it end before their extension.
        others: the same of the counterparts.
        read: makes the truth of a counterpart; None where nobody asks for it.
        where: the paths of the two keys in the recipe, for messages.
        lone: "leave": pictures without a counterpart are not meant.
        turn: what becomes of pictures that EXIF says to turn.

    Raises:
        DataError: a directory is missing or without pictures, two names are the same but for their
            extensions, or no picture has a counterpart.
    """
    (root, ending), (other_root, other_ending) = pictures, others
    mine = by_stem(pictures_below(root, where[0]), root, ending, where[0])
    if not mine:
        rule = f"must have pictures whose names end in {ending!r}"
        raise DataError(f"{where[0]}: {rule}, got none in {str(root)!r}")
    entry = partial(_entry, root, turn)
    if read is None:
        return [entry(path) for path in mine.values()]
    found = pictures_below(other_root, where[1])
    theirs = by_stem(found, other_root, other_ending, where[1])
    if mine.keys().isdisjoint(theirs):
        wanted, got = f"{next(iter(mine))}{other_ending}", found[0].name
        rule = f"must have files that are called as the {len(mine)} pictures, such as {wanted!r}"
        raise DataError(f"{where[1]}: {rule}, got none; the first here is {got!r}")
    entries = [
        entry(
            path,
            _judge(theirs.get(stem), other_root, f"{stem}{other_ending}", read),
            stem in theirs or lone == "refuse",
        )
        for stem, path in mine.items()
    ]
    return entries + _orphans(mine, theirs, root, other_root)


def _entry(
    root: Path, turn: Orientation, path: Path, judge: Judge = nothing, meant: bool = True
) -> Entry:
    name = path.relative_to(root).as_posix()
    return Entry(name=name, picture=reading(path, turn), truth=judge, meant=meant)


def _judge(path: Path | None, root: Path, wanted: str, read: Counterpart) -> Judge:
    if path is None:
        return partial(_missing, f"{root}: must have a file for it, got none called {wanted!r}")
    return partial(read, path, path.relative_to(root).as_posix())


def _orphans(
    mine: Mapping[str, Path], theirs: Mapping[str, Path], root: Path, other_root: Path
) -> list[Entry]:
    return [
        Entry(
            name=path.relative_to(other_root).as_posix(),
            picture=partial(_missing, f"{root}: must have a picture for it, got none of its name"),
            lone=True,
        )
        for stem, path in theirs.items()
        if stem not in mine
    ]


def _missing(reason: str, *_: object) -> Any:
    raise InputError(reason)
