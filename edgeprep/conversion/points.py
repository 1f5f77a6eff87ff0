"""Points of a search: what a combination gives, and which ones no other one beats."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from edgeprep.errors import BudgetError, ConvertError
from edgeprep.files import atomic_write
from edgeprep.interfaces import Calibrator, Placement, Precision
from edgeprep.recipe import BudgetTable

__all__ = ["Combination", "Point", "Points", "choose", "front"]

_NAMED = 3  # so many faults are named
_MB = 1e6


class Combination(Struct, frozen=True, kw_only=True):
    """One way to convert a network.

    Attributes:
        prune: the share of channels that is pruned.
        placement: where its preprocessing is cut.
        calibrator: how ranges of activations are chosen.
    """

    prune: float
    placement: Placement | Literal["auto"]
    calibrator: Calibrator

    def __str__(self) -> str:
        pruned = f"pruned by {self.prune:g}" if self.prune else "not pruned"
        return f"{pruned}, placement {self.placement!r}, calibrator {self.calibrator!r}"


class Point(Struct, frozen=True, kw_only=True):
    """One variant of one combination, measured.

    Attributes:
        combination: how it was made.
        variant: its name, such as "onnx-int8".
        format: the exporter's.
        precision: of its weights and arithmetic.
        value: its score; None where it could not be made.
        drop: how far that is below the source's.
        latency_ms: of one picture, with the quickest options of its engine.
        size_bytes: of its files.
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
    fault: str = ""

    @property
    def costs(self) -> tuple[float, float, float]:
        """What is better when it is less."""
        return self.drop, self.latency_ms, float(self.size_bytes)

    def describe(self) -> str:
        """What it gives, for people."""
        if self.value is None:
            return f"failed: {self.fault}"
        return (
            f"{self.value:.4f}, drop {self.drop:z.4f}, {self.latency_ms:.3f} ms, "
            f"{self.size_bytes:,} bytes"
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
    """The points that were measured, each written when it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: list[Point] = []
        if path.is_file():
            for line in path.read_bytes().splitlines():
                # A line that a kill cut short was not measured.
                with suppress(msgspec.DecodeError):
                    self.known.append(msgspec.json.decode(line, type=Point))
            self._rewrite()

    def add(self, point: Point) -> None:
        """Keep one more."""
        self.known.append(point)
        self._rewrite()

    def _rewrite(self) -> None:
        lines = [msgspec.json.encode(point) + b"\n" for point in self.known]
        atomic_write(self._path, lines, overwrite=True)


def choose(points: Sequence[Point], budget: BudgetTable | None) -> Point:
    """The quickest point within `budget`; without one, that which loses least."""
    known = [point for point in points if point.value is not None]
    if not known:
        faults = "; ".join(f"{point.variant}: {point.fault}" for point in points[:_NAMED])
        raise ConvertError(f"search: must measure a point, got {faults or 'no time for one'}")
    if budget is None:
        return min(known, key=lambda point: point.costs)
    inside = [point for point in known if point.drop <= budget.max_drop and _small(point, budget)]
    if not inside:
        best = min(known, key=lambda point: point.costs)
        raise BudgetError(
            f"budget: {budget.metric} may drop by at most {budget.max_drop}{_limits(budget)}, got "
            f"{best.variant} {best.describe()} at best of {len(known)} points ({best.combination})"
        )
    return min(inside, key=lambda point: (point.latency_ms, point.size_bytes))


def _small(point: Point, budget: BudgetTable) -> bool:
    pairs = (
        (point.latency_ms, budget.max_latency_ms),
        (point.size_bytes / _MB, budget.max_size_mb),
    )
    return all(limit is None or value <= limit for value, limit in pairs)


def _limits(budget: BudgetTable) -> str:
    parts = []
    if budget.max_latency_ms is not None:
        parts.append(f", within {budget.max_latency_ms:g} ms")
    if budget.max_size_mb is not None:
        parts.append(f", within {budget.max_size_mb:g} MB")
    return "".join(parts)
