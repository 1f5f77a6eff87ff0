"""What a conversion gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprep.bundle import Manifest, Variant
from edgeprep.conversion.repair import Tried

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished conversion.

    Attributes:
        bundle: where it is.
        manifest: what it says of itself.
        skipped: how many pictures could not be read, by "calibration" and "evaluation".
        trials: the ways in which each quantized variant was tried, by its name, in their order.
        warnings: what a user should know of the data.
    """

    bundle: Path
    manifest: Manifest
    skipped: Mapping[str, int]
    trials: Mapping[str, tuple[Tried, ...]]
    warnings: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that were packed."""
        return self.manifest.variants

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep convert --format json` prints it."""
        source = self.manifest.source
        return {
            "bundle": str(self.bundle),
            "source": {"metric": source.metric, "value": source.value, "samples": source.samples},
            "skipped": dict(self.skipped),
            "warnings": list(self.warnings),
            "variants": [_variant_to_json(variant) for variant in self.variants],
            "trials": {
                name: [tried.to_json() for tried in trials] for name, trials in self.trials.items()
            },
        }


def _variant_to_json(variant: Variant) -> dict[str, Any]:
    parity, metric = variant.parity, variant.metric
    return {
        "name": variant.name,
        "format": variant.format,
        "precision": variant.precision,
        "placement": variant.placement,
        "size_bytes": variant.size_bytes,
        "keep_float": list(variant.keep_float),
        "calibrator": variant.calibrator,
        "parity": {"max_abs": parity.max_abs, "relative": parity.relative},
        "metric": metric and {"name": metric.name, "value": metric.value, "drop": metric.drop},
    }
