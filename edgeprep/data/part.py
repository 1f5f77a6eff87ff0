"""Which part of a data set is meant: what a list names, or one side of a split."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Literal

from edgeprep.data.draw import of_each_kind
from edgeprep.data.entry import Entry
from edgeprep.data.text import read_lines
from edgeprep.errors import DataError
from edgeprep.schema import nearest

__all__ = ["Side", "listed", "one_side"]

Side = Literal["training", "validation"]


def one_side(entries: Sequence[Entry], side: Side, held_out: float, seed: int) -> list[Entry]:
    """The entries of one side, in their order; both sides together have each entry once.

    Each kind is split by itself, so that a class with two pictures has one on either side. Which
    ones are held out depends on their names and the seed, and neither on their order nor on what
    is drawn of them. Lone labels are on the training side, and decide nothing.

    Args:
        entries: of both sides.
        side: "validation" are those that are held out.
        held_out: their share, in 0..1.
        seed: another one holds out others.
    """
    groups = of_each_kind([entry for entry in entries if not entry.lone])
    held = {entry.name for group in groups for entry in _held(group, held_out, seed)}
    return [entry for entry in entries if (entry.name in held) == (side == "validation")]


def _held(group: list[Entry], share: float, seed: int) -> list[Entry]:
    count = min(max(round(share * len(group)), 1), len(group) - 1)
    return sorted(group, key=lambda entry: _rank(entry.name, seed))[:count]


def _rank(name: str, seed: int) -> bytes:
    return blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=16).digest()


def listed(entries: Sequence[Entry], path: Path, where: str) -> list[Entry]:
    """The entries that the file at `path` names, in its order.

    Each line is a name, with its ending or without, and with as many of the directories before it
    as one likes: "a/b", "a/b.jpg" and "./images/a/b.jpg" name the picture "a/b.jpg".

    Args:
        entries: all there are.
        path: of the list.
        where: the path of the key in the recipe, for messages.

    Raises:
        DataError: the list cannot be read or is empty, or it names what is not there, may be one
            of several or was named before.
    """
    known = _by_name(entries)
    chosen: dict[str, int] = {}
    found: list[Entry] = []
    for number, line in read_lines(path, where):
        if not line.strip():
            continue
        place = f"{where}: {path.name}:{number}"
        named = next((known[name] for name in _endings(line.strip()) if name in known), None)
        if named is None:
            remedy = nearest(line.strip(), known)
            raise DataError(f"{place}: must name a picture of the data, got {line!r}{remedy}")
        if len(named) > 1:
            names = " and ".join(repr(entry.name) for entry in named[:2])
            raise DataError(f"{place}: must name one picture, got {line!r}, which are {names}")
        (entry,) = named
        if entry.name in chosen:
            rule = f"must name a picture once, got {line!r}"
            raise DataError(f"{place}: {rule}, which is in line {chosen[entry.name]}, too")
        chosen[entry.name] = number
        found.append(entry)
    if not found:
        raise DataError(f"{where}: must name at least one picture, got none in {str(path)!r}")
    return found


def _by_name(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    whole = {entry.name: [entry] for entry in entries}
    short: dict[str, list[Entry]] = {}
    for entry in entries:
        short.setdefault(str(PurePosixPath(entry.name).with_suffix("")), []).append(entry)
    return short | whole


def _endings(line: str) -> list[str]:
    """`line`, and what is left when its directories are taken away one by one."""
    parts = PurePosixPath(line.replace("\\", "/")).parts
    return [str(PurePosixPath(*parts[index:])) for index in range(len(parts))]
