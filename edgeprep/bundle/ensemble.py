"""The manifest of an ensemble: a bundle of other bundles, and how their results are joined."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from edgeprep.bundle.manifest import SCHEMA_VERSION, Member, SourceRecord
from edgeprep.tensors import ImageSpec, TensorSpec

__all__ = ["EnsembleManifest", "Learnt", "Part"]


class Part(Struct, frozen=True, kw_only=True):
    """One network of an ensemble.

    Attributes:
        name: of its bundle.
        bundle: the member with that bundle, whole; parts may share one.
        weight: how much its answers count, above 0.
        prefer: the variant, format or precision that may answer; "" for all.
    """

    name: str
    bundle: str
    weight: float
    prefer: str = ""


class Learnt(Struct, frozen=True, kw_only=True):
    """An array that the combiner has learnt; laid out as golden arrays are.

    Attributes:
        array: its name, shape and type.
        member: where it is.
    """

    array: TensorSpec
    member: str


class EnsembleManifest(Struct, frozen=True, kw_only=True):
    """All that a bundle of an ensemble says of itself; see `Manifest` for what both say.

    Attributes:
        kind: tells it from a bundle of one network, which says no kind.
        schema_version: of this class.
        name: of the ensemble, as its recipe gives it.
        created_with: version by distribution, of what made it.
        recipe_sha256: digest of its recipe.
        task: of the results, its table in the recipe.
        input: the pictures that all members take.
        combine: how results are joined, its table in the recipe.
        parts: the networks, at least two.
        learnt: what the combiner has learnt; () for most.
        score: what the ensemble scored when it was made.
        members: in the order in which they lie in the file; `write_bundle` fills them in.
    """

    kind: Literal["ensemble"] = "ensemble"
    schema_version: int = SCHEMA_VERSION
    name: str
    created_with: Mapping[str, str]
    recipe_sha256: str
    task: Mapping[str, object]
    input: ImageSpec
    combine: Mapping[str, object]
    parts: tuple[Part, ...]
    learnt: tuple[Learnt, ...] = ()
    score: SourceRecord
    members: tuple[Member, ...] = ()
