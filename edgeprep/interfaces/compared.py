"""What of a network's outputs is compared, each part by its own magnitude."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["Compared", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Values of one meaning, whose differences count beside the largest of them.

    Attributes:
        output: the number of the output that has them.
        values: numbers; whole ones are told apart, and not measured.
        name: what they are, where they are a part of the output; else "".
        least: the magnitude that a difference counts beside at least: what is smaller is nothing.
    """

    output: int
    values: NDArray[Any]
    name: str = ""
    least: float = 0.0


def whole(outputs: Sequence[NDArray[Any]]) -> tuple[Compared, ...]:
    """Each output by itself."""
    return tuple(Compared(output=number, values=values) for number, values in enumerate(outputs))
