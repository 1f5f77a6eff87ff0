"""What a check of the preprocessing found, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Advice", "StageCost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one stage costs here, in milliseconds a picture.

    Attributes:
        name: of the stage, with its version.
        place: where the recipe's placement puts it, "host" or "graph".
        height: of the pictures that arrive; `width` likewise.
        numpy_ms: on the host.
        graph_ms: in the graph of each format that was measured, one thread.
        unmeasured: why it could not be measured in the graph of a format, by its name.
    """

    name: str
    place: str
    height: int
    width: int
    numpy_ms: float
    graph_ms: Mapping[str, float] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """As `edgeprep check --format json` prints it."""
        return {
            "stage": self.name,
            "place": self.place,
            "height": self.height,
            "width": self.width,
            "numpy_ms": self.numpy_ms,
            "graph_ms": dict(self.graph_ms),
            "unmeasured": dict(self.unmeasured),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What was measured, and what is worth a change.

    Attributes:
        size: `(height, width)` of the pictures that were measured.
        costs: one a stage, in their order.
        warnings: sentences that begin with the path of a stage.
        unmeasured: why no stage could be measured in a format, by its name.
    """

    size: tuple[int, int]
    costs: tuple[StageCost, ...]
    warnings: tuple[str, ...]
    unmeasured: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """As `edgeprep check --format json` prints it."""
        return {
            "size": list(self.size),
            "stages": [cost.to_json() for cost in self.costs],
            "warnings": list(self.warnings),
            "unmeasured": dict(self.unmeasured),
        }
