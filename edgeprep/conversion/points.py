"""Points of a search: what a combination gives, and which ones no other one beats."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from edgeprep.conversion.limits import Cost, describe_limits, is_within
from edgeprep.errors import BudgetError, ConvertError
from edgeprep.files import atomic_write
from edgeprep.interfaces import Calibrator, Placement, Precision
from edgeprep.recipe import BudgetTable

__all__ = ["Combination", "Point", "Points", "Way", "choose", "front"]

_MB = 1e6


class Combination(Struct, frozen=True, kw_only=True):
    """One way to convert a network.

    Attributes:
        prune: the share of channels that is pruned; None: what the recipe's own pass prunes.
        placement: where its preprocessing is cut.
        calibrator: how ranges of activations are chosen.
    """

    prune: float | None
    placement: Placement | Literal["auto"]
    calibrator: Calibrator

    def __str__(self) -> str:
        by = "as the recipe says" if self.prune is None else f"by {self.prune:g}"
        pruned = "not pruned" if self.prune == 0 else f"pruned {by}"
        return f"{pruned}, placement {self.placement!r}, calibrator {self.calibrator!r}"


Way = tuple[Combination, str, Precision]


class Point(Struct, frozen=True, kw_only=True):
    """One variant of one combination, measured.

    Attributes:
        combination: how it was made.
        variant: its name, such as "onnx-int8".
        format: the exporter's.
        precision: of its weights and arithmetic.
        value: its score; None where it could not be made.
        drop: how far that is below the source's.
        latency_ms: of one picture, with the quickest options of its engine that compute as those
            do which it was scored with.
        size_bytes: of its files.
        memory_mb: that loading and running it adds to a process, in 1,000,000 bytes; None where
            the recipe sets no limit for it.
        fault: why it could not be made.
    """

    combination: Combination
    variant: str
    format: str
    precision: Precision
    value: float | None = None
    drop: float = 0.0
    latency_ms: float = 0.0
    size_bytes: int = 0
    memory_mb: float | None = None
    fault: str = ""

    @property
    def way(self) -> "Way":
        """What a recipe can ask for, which may be more than one variant."""
        return self.combination, self.format, self.precision

    @property
    def costs(self) -> tuple[float, float, float]:
        """What is better when it is less."""
        return self.drop, self.latency_ms, float(self.size_bytes)

    def describe(self) -> str:
        """What it gives, for people."""
        if self.value is None:
            return f"failed: {self.fault}"
        memory = "" if self.memory_mb is None else f", {self.memory_mb:.3g} MB of memory"
        return (
            f"{self.value:.4f}, drop {self.drop:z.4f}, {self.latency_ms:.3f} ms, "
            f"{self.size_bytes:,} bytes{memory}"
        )

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep search --format json` prints it."""
        table: dict[str, Any] = msgspec.to_builtins(self)
        return table


def front(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points that no other one beats, or equals, in drop, latency and size alike.

    Returns: the quickest first.
    """
    known = [point for point in points if point.value is not None]
    kept = [point for point in known if not any(_beats(other, point) for other in known)]
    return tuple(sorted(kept, key=lambda point: point.latency_ms))


def _beats(one: Point, other: Point) -> bool:
    pairs: Sequence[tuple[float, float]] = tuple(zip(one.costs, other.costs, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


class Points:
    """The points that were measured, each written when it is.

    What could not be made is for a search after this one to try again: memory or time may have been
    what it wanted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: list[Point] = []
        if path.is_file():
            for line in path.read_bytes().splitlines():
                # What a fault of the disk has made of a line is measured again.
                with suppress(msgspec.DecodeError):
                    self._kept.append(msgspec.json.decode(line, type=Point))
        self.known = [*self._kept]

    def add(self, point: Point) -> None:
        """One more."""
        self.known.append(point)
        if point.value is not None:
            self._kept.append(point)
            lines = [msgspec.json.encode(one) + b"\n" for one in self._kept]
            atomic_write(self._path, lines, overwrite=True)


def _together(points: Iterable[Point]) -> dict[Way, list[Point]]:
    """The points that a recipe can only have together: of other placements or weight ranges."""
    ways: dict[Way, list[Point]] = {}
    for point in points:
        ways.setdefault(point.way, []).append(point)
    return ways


def _keeps_budget(points: Sequence[Point], budget: BudgetTable) -> bool:
    """Whether none of `points` loses too much, and one of them at least is within the limits."""
    kept = all(point.value is not None and point.drop <= budget.max_drop for point in points)
    return kept and any(_within(point, budget) for point in points)


def choose(points: Sequence[Point], budget: BudgetTable | None) -> Point:
    """The quickest point within `budget`; without one, that which loses least.

    A point counts where all do that a recipe would have with it.

    Raises:
        BudgetError: none keeps it; the message has the nearest and those that no other one beats,
            or why there is none.
        ConvertError: there is no point, or none of them could be made and there is no budget.
    """
    known = [point for point in points if point.value is not None]
    if not known:
        raise _nothing(points, budget)
    ways = _together(points).values()
    whole = [way for way in ways if all(point.value is not None for point in way)]
    if budget is None:
        return min([point for way in whole for point in way] or known, key=_costs)
    inside = [
        point
        for way in whole
        if _keeps_budget(way, budget)
        for point in way
        if _within(point, budget)
    ]
    if not inside:
        worst = [max(way, key=_costs) for way in whole]
        best = min(worst or known, key=_costs)
        others = [point for point in front(known) if point != best]
        listed = "".join(
            f"\n  {one.variant} {one.describe()} ({one.combination})" for one in others
        )
        beside = f"; others that none beats:{listed}" if others else ""
        raise BudgetError(
            f"{_rule(budget)}, got {best.variant} {best.describe()} at best of {len(known)} points "
            f"({best.combination}){beside}"
        )
    return min(inside, key=lambda point: (point.latency_ms, point.size_bytes))


def _nothing(points: Sequence[Point], budget: BudgetTable | None) -> ConvertError:
    """Why no point is any use: a line for each."""
    if not points:
        return ConvertError("search: must measure a point, got no time for one")
    listed = "".join(f"\n  {one.variant}, {one.combination}: {one.fault}" for one in points)
    got = f"got {len(points)} points that cannot be used:{listed}"
    if budget is None:
        return ConvertError(f"search: must measure a point, {got}")
    return BudgetError(f"{_rule(budget)}, {got}")


def _costs(point: Point) -> tuple[float, float, float]:
    return point.costs


def _within(point: Point, budget: BudgetTable) -> bool:
    """Whether a point is within the limits of what a variant may cost."""
    cost = Cost(
        latency_ms=point.latency_ms, size_mb=point.size_bytes / _MB, memory_mb=point.memory_mb
    )
    return is_within(budget, cost)


def _rule(budget: BudgetTable) -> str:
    limits = f", within {describe_limits(budget)}" if budget.has_limits else ""
    return f"budget: {budget.metric} may drop by at most {budget.max_drop}{limits}"
