"""A bundle whose variants commit faults, and backends that run them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fake_registry import registry_of
from faulty_backends import Faulty, commit
from means_bundle import manifest_of, variant_of, write_means

from edgeprep.interfaces import Device

__all__ = ["Alone", "Safe", "registry_of", "verdict_on", "write_faulty"]


def write_faulty(path: Path, variants: Mapping[str, Mapping[str, Any]]) -> Path:
    """A bundle at `path`, of `variants` by name with the faults that each commits."""
    models = {name: json.dumps(faults).encode() for name, faults in variants.items()}
    manifest = manifest_of(*(variant_of(name, len(model)) for name, model in models.items()))
    return write_means(path, manifest, models)


def verdict_on(session: Any, backend: str = "alone") -> tuple[str, str]:
    """What was found of a backend when the session was opened, and why."""
    return next(
        (outcome.verdict, outcome.reason)
        for outcome in session.outcomes
        if outcome.candidate.backend == backend
    )


class Alone(Faulty):
    """One device with one set of options."""

    name = "alone"

    def devices(self) -> tuple[Device, ...]:
        return super().devices()[:1]

    def options(self, device: Device, precision: str) -> tuple[Mapping[str, int | str], ...]:
        commit(os.environ.get(f"FAULT_OF_{self.name.upper()}_AT_OPTIONS", ""))
        return ({"threads": 1},)

    def refuse(self, device: Device, precision: str, weight_range: str) -> str | None:
        commit(os.environ.get(f"FAULT_OF_{self.name.upper()}_AT_REFUSE", ""))
        return super().refuse(device, precision, weight_range)


class Safe(Alone):
    """Its library never fails, and it runs a format of its own."""

    name = "safe"
    formats = ("safe",)

    def __init__(self) -> None:
        """Nothing is imported."""
