"""Everything that was made and measured, in one file."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Golden, Manifest, Reference, SourceRecord, write_bundle
from edgeprep.conversion.plan import Plan
from edgeprep.conversion.score import Outputs
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.variants import MadeVariant, Oracle
from edgeprep.interfaces import Placement
from edgeprep.tensors import TensorSpec
from edgeprep.version import __version__

__all__ = ["pack"]


def pack(
    plan: Plan,
    sources: Mapping[Placement, NetworkSource],
    oracles: Mapping[Placement, Oracle],
    made: Sequence[MadeVariant],
    references: tuple[Reference, ...],
    *,
    overwrite: bool,
) -> Manifest:
    """Write the bundle of `plan`, whole or not at all, and give its manifest.

    Raises:
        OutputExists: the output is there and `overwrite` is False.
        StorageError: it cannot be written.
    """
    members: dict[str, bytes] = {}
    golden = []
    for placement, oracle in oracles.items():
        record = _golden(placement, sources[placement], oracle)
        names = (record.input_member, *record.state_members)
        inputs, expected = zip(*oracle.golden, strict=True)
        members.update(_arrays(names, inputs))
        members.update(_arrays(record.output_members, expected))
        golden.append(record)
    for variant in made:
        for name in variant.record.files:
            members[name] = variant.model.files[name.rpartition("/")[2]]
        members.update(_arrays(variant.record.golden_outputs, variant.golden_outputs))
    tables, files = plan.chain.packed()
    members.update(files)
    oracle = next(iter(oracles.values()))
    labelled = plan.metric is not None
    manifest = Manifest(
        name=plan.recipe.name,
        created_with=_versions(plan),
        recipe_sha256=plan.recipe.sha256,
        task=plan.recipe.task,
        input=plan.chain.input,
        chain=tables,
        source=SourceRecord(
            metric=oracle.scorer.name if labelled else None,
            value=oracle.source_score if labelled else None,
            samples=len(oracle.scorer.samples) if labelled else 0,
            data=oracle.scorer.samples.digest if labelled else "",
        ),
        max_drop=plan.recipe.budget.max_drop if plan.recipe.budget else None,
        variants=tuple(variant.record for variant in made),
        golden=tuple(golden),
        references=references or UNSET,
    )
    bundle = write_bundle(plan.output, manifest, members, overwrite=overwrite)
    return bundle.manifest


def _golden(placement: Placement, source: NetworkSource, oracle: Oracle) -> Golden:
    samples = len(oracle.golden)

    def repeated(spec: TensorSpec) -> TensorSpec:
        return replace(spec, shape=(samples * spec.shape[0], *spec.shape[1:]))

    return Golden(
        placement=placement,
        input=repeated(source.input),
        input_member=f"golden/{placement}/input.bin",
        states=tuple(map(repeated, source.states)),
        state_members=tuple(
            f"golden/{placement}/state-{index}.bin" for index in range(len(source.states))
        ),
        outputs=tuple(map(repeated, source.outputs)),
        output_members=tuple(
            f"golden/{placement}/output-{index}.bin" for index in range(len(source.outputs))
        ),
    )


def _arrays(names: Sequence[str], samples: Sequence[Outputs]) -> dict[str, bytes]:
    """One member an array: all samples, little-endian, as they lie in C order."""
    stacked = [np.concatenate(output) for output in zip(*samples, strict=True)]
    return {name: _little_endian(array) for name, array in zip(names, stacked, strict=True)}


def _little_endian(array: NDArray[np.generic]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _versions(plan: Plan) -> dict[str, str]:
    """The version of every distribution that had a hand in the bundle."""
    modules = {"numpy", "torch"}.union(*(variant.exporter.requires for variant in plan.variants))
    versions = {"edgeprep": __version__, "python": platform.python_version()}
    for module in sorted(modules):
        with suppress(PackageNotFoundError):
            versions[module] = version(module.replace("_", "-"))
    return versions
