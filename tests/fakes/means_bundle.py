"""A bundle of what fakes compute."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from channel_means import IMAGE, LOGITS, channel_means
from msgspec.structs import replace

from edgeprep.bundle import Golden, Manifest, Measured, Parity, SourceRecord, Variant, write_bundle
from edgeprep.tensors import ImageSpec

SAMPLES = 4


def manifest_of(*variants: Variant) -> Manifest:
    """A classifier that takes 4×4 RGB pictures as they are."""
    return Manifest(
        name="means",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": ["red", "green", "blue"]},
        input=ImageSpec(height=4, width=4),
        chain=({"use": "scale@1"},),
        source=SourceRecord(metric="accuracy", value=1.0, samples=10),
        variants=variants,
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


def variant_of(name: str, size_bytes: int) -> Variant:
    """A variant of the format that its name begins with, up to a dash."""
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


def write_means(path: Path, manifest: Manifest, models: Mapping[str, bytes]) -> Path:
    """A bundle at `path` with golden samples, and what is the one file of each variant."""
    pictures = np.random.default_rng(7).integers(0, 256, (SAMPLES, 4, 4, 3), dtype=np.uint8)
    means = channel_means(pictures).tobytes()
    members = {"golden/graph/input.bin": pictures.tobytes(), "golden/graph/output-0.bin": means}
    for variant in manifest.variants:
        members[variant.files[0]] = models[variant.name]
        members[variant.golden_outputs[0]] = means
    write_bundle(path, manifest, members, overwrite=True)
    return path
