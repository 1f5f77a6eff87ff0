"""What the making of an ensemble gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprep.bundle import EnsembleManifest
from edgeprep.conversion.evaluation import Evaluation

__all__ = ["EnsembleResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """A finished ensemble.

    Attributes:
        bundle: where it is.
        manifest: what it says of itself.
        evaluation: what it and its members scored; None where there are no evaluation data.
        trained: on how many samples the combiner learnt; 0 where it learns nothing.
    """

    bundle: Path
    manifest: EnsembleManifest
    evaluation: Evaluation | None
    trained: int

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep ensemble --format json` prints it."""
        return {
            "bundle": str(self.bundle),
            "combine": dict(self.manifest.combine),
            "members": [
                {"name": part.name, "weight": part.weight, "prefer": part.prefer or None}
                for part in self.manifest.parts
            ],
            "trained": self.trained,
            "evaluation": self.evaluation and self.evaluation.to_json(),
        }
