"""Many pictures of one size in one array: what CIFAR and MNIST are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.entry import Entry, Judge, always, nothing

__all__ = ["Block", "entries_of"]

NumberOf = Callable[[int, str], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The pictures of one file.

    Attributes:
        name: of the file.
        pictures: `(pictures, …)`, uint8.
        labels: `(pictures,)`, whole numbers as the file has them; None where it has none.
        kinds: the same of the classes by which a part is taken, whichever are asked for; None:
            `labels`.
    """

    name: str
    pictures: NDArray[np.uint8]
    labels: NDArray[Any] | None
    kinds: NDArray[Any] | None = None


def entries_of(
    blocks: Sequence[Block],
    shape: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    number_of: NumberOf | None,
    where: str,
) -> list[Entry]:
    """The pictures of all blocks, called by the file and their number in it.

    Args:
        blocks: in their order.
        shape: makes a picture `(H, W, C)` of one row of a block.
        number_of: the class of the task that a number of the data, at a place, stands for, None
            where it is to be left out; None where nobody asks.
        where: the path of the key in the recipe, for messages.

    Raises:
        DataError: a number stands for no class.
    """
    entries: list[Entry] = []
    for block in blocks:
        labels = [None] * len(block.pictures) if block.labels is None else block.labels.tolist()
        kinds = labels if block.kinds is None else block.kinds.tolist()
        for index, (label, kind) in enumerate(zip(labels, kinds, strict=True)):
            truth: Judge = nothing
            number: int | None = 0
            if number_of is not None and label is not None:
                number = number_of(label, f"{where}: {block.name}, picture {index}: class")
                truth = always(number)
            entries.append(
                Entry(
                    name=f"{block.name}[{index}]",
                    picture=partial(_one, block.pictures, index, shape),
                    truth=truth,
                    kind=None if kind is None else str(kind),
                    meant=number is not None,
                )
            )
    return entries


def _one(
    pictures: NDArray[np.uint8],
    index: int,
    shape: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    return np.ascontiguousarray(shape(pictures[index]))
