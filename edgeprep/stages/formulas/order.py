"""The order of a few pictures, pixel by pixel, by minima and maxima alone.

Sorting networks (Batcher's odd-even merge) are written down as graphs of minima and maxima, of
which only those are computed that a result depends on. No engine differs in them, where sorts and
top-k are slow or missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar, Union

from edgeprep.interfaces import Primitives

__all__ = ["Line", "SortingNetwork", "merge", "sort"]

T = TypeVar("T")

# One value on its way through a network: an input, by its number, or the lesser or greater of two.
Line = Union[int, "Exchange"]


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The lesser of two lines, or else the greater."""

    lesser: bool
    a: Line
    b: Line


def sort(lines: Sequence[Line]) -> tuple[Line, ...]:
    """`lines` in ascending order."""
    if len(lines) <= 1:
        return tuple(lines)
    half = len(lines) // 2
    return merge(sort(lines[:half]), sort(lines[half:]))


def merge(a: Sequence[Line], b: Sequence[Line]) -> tuple[Line, ...]:
    """Two ascending sequences as one.

    Source: K. E. Batcher, Sorting networks and their applications, 1968, for any two lengths.
    """
    if not a or not b:
        return tuple(a or b)
    if len(a) == len(b) == 1:
        return Exchange(True, a[0], b[0]), Exchange(False, a[0], b[0])
    first, *evens = merge(a[::2], b[::2])
    odds = merge(a[1::2], b[1::2])
    merged = [first]
    for odd, even in zip(odds, evens, strict=False):
        merged += [Exchange(True, odd, even), Exchange(False, odd, even)]
    return (*merged, *odds[len(evens) :], *evens[len(odds) :])


class Step(NamedTuple):
    """One exchange to compute, and the lines that no later step needs."""

    line: Exchange
    done: tuple[Line, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SortingNetwork:
    """What has to be computed for some lines, in an order in which it can be."""

    results: tuple[Line, ...]
    steps: tuple[Step, ...]

    @classmethod
    def to(cls, *results: Line) -> Self:
        """The network that gives `results` and nothing else."""
        order: dict[Exchange, None] = {}
        for line in results:
            _collect(line, order)
        needed = set(results)
        backwards = []
        for exchange in reversed(order):
            done = {exchange.a, exchange.b} - needed
            needed |= done
            backwards.append(Step(exchange, tuple(done)))
        return cls(results, tuple(reversed(backwards)))

    def compute(self, F: Primitives[T], inputs: Sequence[T]) -> list[T]:
        """The values of the results, given those of the inputs, of one shape and dtype."""
        values: dict[Line, T] = dict(enumerate(inputs))
        for line, done in self.steps:
            choose = F.minimum if line.lesser else F.maximum
            values[line] = choose(values[line.a], values[line.b])
            # Pictures may be large: none is held longer than it is needed.
            for each in done:
                del values[each]
        return [values[line] for line in self.results]


def _collect(line: Line, order: dict[Exchange, None]) -> None:
    """Add to `order` what `line` depends on, and then `line`."""
    if isinstance(line, Exchange) and line not in order:
        _collect(line.a, order)
        _collect(line.b, order)
        order[line] = None
