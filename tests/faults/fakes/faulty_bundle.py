"""A bundle whose variants commit faults, and backends that run them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from faulty_backends import IMAGE, LOGITS, Faulty, commit
from msgspec.structs import replace

from edgeprep.bundle import Golden, Manifest, Measured, Parity, SourceRecord, Variant, write_bundle
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend, Device
from edgeprep.registry import Registry
from edgeprep.tensors import ImageSpec

SAMPLES = 4


def write_faulty(path: Path, variants: Mapping[str, Mapping[str, Any]]) -> Path:
    """A bundle at `path`, of `variants` by name with the faults that each commits.

    The format of a variant is what its name begins with, up to a dash.
    """
    pictures = np.random.default_rng(7).integers(0, 256, (SAMPLES, 4, 4, 3), dtype=np.uint8)
    means = pictures.mean(axis=(1, 2), dtype=np.float32).tobytes()
    members = {
        "golden/graph/input.bin": pictures.tobytes(),
        "golden/graph/output-0.bin": means,
    }
    for name, faults in variants.items():
        members[f"variants/{name}/model.fake"] = json.dumps(faults).encode()
        members[f"golden/{name}/0.bin"] = means
    manifest = Manifest(
        name="means",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": ["red", "green", "blue"]},
        input=ImageSpec(height=4, width=4),
        chain=({"use": "scale@1"},),
        source=SourceRecord(metric="accuracy", value=1.0, samples=10),
        variants=tuple(
            _variant(name, len(members[f"variants/{name}/model.fake"])) for name in variants
        ),
        golden=(
            Golden(
                placement="graph",
                input=replace(IMAGE, shape=(SAMPLES, 4, 4, 3)),
                input_member="golden/graph/input.bin",
                outputs=(replace(LOGITS, shape=(SAMPLES, 3)),),
                output_members=("golden/graph/output-0.bin",),
            ),
        ),
    )
    write_bundle(path, manifest, members, overwrite=True)
    return path


def _variant(name: str, size_bytes: int) -> Variant:
    return Variant(
        name=name,
        format=name.partition("-")[0],
        precision="fp32",
        placement="graph",
        requires=("edgeprep-fake[runtime]",),
        files=(f"variants/{name}/model.fake",),
        size_bytes=size_bytes,
        input=IMAGE,
        outputs=(LOGITS,),
        parity=Parity(max_abs=0.0, relative=0.0, samples=SAMPLES),
        metric=Measured(name="accuracy", value=1.0, drop=0.0, samples=10),
        tolerance=1e-3,
        golden_outputs=(f"golden/{name}/0.bin",),
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


def registry_of(*backends: type[Backend]) -> Registry:
    """The built-in stages and tasks, and these backends."""

    class Plugin:
        @staticmethod
        @hookimpl
        def edgeprep_backends() -> list[type[Backend]]:
            return list(backends)

    registry = Registry(installed=False)
    registry.register("faulty", Plugin)
    return registry
