"""Which pictures come first, where there is a limit."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from edgeprep.data.entry import Entry

__all__ = ["draw_evenly", "of_each_kind"]


def draw_evenly(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """All entries, shuffled within their kinds and taken from these in turn.

    Args:
        entries: the kind of the first comes first.
        seed: of the shuffling.
    """
    generator = np.random.default_rng(seed)
    shuffled = [
        [group[index] for index in generator.permutation(len(group))]
        for group in of_each_kind(entries)
    ]
    return [entry for turn in zip_longest(*shuffled) for entry in turn if entry is not None]


def of_each_kind(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries of each kind, in their order."""
    groups: dict[str | None, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.kind, []).append(entry)
    return [*groups.values()]
