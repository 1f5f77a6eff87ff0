"""The manifest: what a bundle says of itself, as frozen values with one JSON form."""

import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from edgeprep.bundle.reference import Reference
from edgeprep.errors import BundleFormatError, IncompatibleBundle
from edgeprep.interfaces import Placement, Precision, WeightRange
from edgeprep.tensors import ImageSpec, TensorSpec

__all__ = [
    "SCHEMA_VERSION",
    "Golden",
    "Manifest",
    "Measured",
    "Member",
    "Parity",
    "SourceRecord",
    "Variant",
    "decode_manifest",
    "encode_manifest",
    "kind_of",
]

T = TypeVar("T", bound=Struct)

SCHEMA_VERSION = 1


class Member(Struct, frozen=True, kw_only=True):
    """One file inside a bundle.

    Attributes:
        name: lower-case path, such as "variants/onnx-int8/model.onnx".
        offset: in bytes, from the start of the first member; a multiple of 64.
        size_bytes: how long it is.
        sha256: digest of its bytes, 64 lower-case hexadecimal digits.
    """

    name: str
    offset: int
    size_bytes: int
    sha256: str


class SourceRecord(Struct, frozen=True, kw_only=True):
    """How the model scored before anything was done to it.

    `metric` and `value` are None where there were no labelled samples. `data` is a digest of the
    samples and their labels; "" where none is recorded.
    """

    metric: str | None = None
    value: float | None = None
    samples: int = 0
    data: str = ""


class Parity(Struct, frozen=True, kw_only=True):
    """How far a variant's outputs are from those of `reference`, over `samples` inputs.

    `max_abs` is the largest difference; `relative` is that over the largest output of the
    reference, of the worst sample. `reference` is "source", or "fine-tuned source" where the
    network was fine-tuned for the variant. `clips` is `relative` over whole clips, each from zeros
    on and with the variant's own states; None where it has no states.
    """

    max_abs: float
    relative: float
    samples: int
    reference: str = "source"
    clips: float | None = None


class Measured(Struct, frozen=True, kw_only=True):
    """A variant's score: `value` of metric `name`, `drop` below the source, over `samples`."""

    name: str
    value: float
    drop: float
    samples: int


class Variant(Struct, frozen=True, kw_only=True):
    """One exported form of the network.

    Attributes:
        name: unique in the bundle, such as "onnx-int8".
        format: the exporter's format, which says which backends can run it.
        precision: of its weights and arithmetic.
        placement: which cut of the chain the graph has inside.
        requires: what a device must have to run it, beyond a backend of the format.
        files: members that make up the model, each named "variants/<name>/<file name>".
        size_bytes: total of `files`.
        input: of the graph, one picture: uint8 `(1, H, W, C)`; or a clip, `(frames, H, W, C)`.
        states: what the graph takes after that, and starts with zeros of: what it remembers of
            earlier pictures; () for most.
        outputs: of the graph, one picture. The last of them are the new states, in their order.
        parity: agreement with the source on held-out samples.
        metric: score on labelled samples; None where there were none.
        keep_float: the modules that stayed in float, where it is quantized.
        calibrator: how the ranges of its activations were chosen; "" where it has none.
        fine_tuned: whether the network was fine-tuned under simulated int8 for this variant alone.
        weight_range: how its weights became integers, where they did: what is "full" is wrong on
            some processors.
        reduced: the drop of that score by precision hint, such as "bf16", for the hints below its
            own precision that the variant was run with.
        tolerance: largest relative error (see `Parity`) at which the golden outputs count as
            reproduced.
        golden_outputs: members with the outputs that this variant gave for the golden inputs of
            its placement, when it was made; one an output, laid out as `Golden.outputs` says.
    """

    name: str
    format: str
    precision: Precision
    placement: Placement
    requires: tuple[str, ...] = ()
    files: tuple[str, ...]
    size_bytes: int
    input: TensorSpec
    states: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...]
    parity: Parity
    metric: Measured | None = None
    keep_float: tuple[str, ...] = ()
    calibrator: str = ""
    fine_tuned: bool = False
    weight_range: WeightRange = "auto"
    reduced: Mapping[str, float] = field(default_factory=dict)
    tolerance: float
    golden_outputs: tuple[str, ...]


class Golden(Struct, frozen=True, kw_only=True):
    """Stored inputs, and the source's outputs for them, for all variants of one placement.

    The arrays are members: their elements as they lie in memory, C order, little-endian.

    Attributes:
        placement: that of the variants which take `input`.
        input: the graph's input for all samples, one after another along the first axis.
        input_member: where the inputs are.
        states: what the source had in its states before each of them, in the same way.
        state_members: where they are, one a state.
        outputs: the source's outputs for all samples, in the same way.
        output_members: where they are, one an output.
    """

    placement: Placement
    input: TensorSpec
    input_member: str
    states: tuple[TensorSpec, ...] = ()
    state_members: tuple[str, ...] = ()
    outputs: tuple[TensorSpec, ...]
    output_members: tuple[str, ...]


class Manifest(Struct, frozen=True, kw_only=True):
    """All that a bundle says of itself; it holds no time stamp, so that packing is reproducible.

    Attributes:
        schema_version: of this class.
        name: of the model, as the recipe gives it.
        created_with: version by distribution, of what made the bundle.
        recipe_sha256: digest of the recipe.
        task: its table in the recipe; "use" names the task.
        input: the pictures that the chain takes.
        chain: the preprocessing, a table a stage, as `Chain.to_tables` gives it.
        source: the score of the model before compression.
        max_drop: the budget: how far below the source any variant may score; None where there is
            no budget.
        variants: at least one.
        golden: one for each placement.
        members: in the order in which they lie in the file; `write_bundle` fills them in.
        references: what pictures and answers were like, one a placement at most; absent where that
            is not known, as in older bundles.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    created_with: Mapping[str, str]
    recipe_sha256: str
    task: Mapping[str, object]
    input: ImageSpec
    chain: tuple[Mapping[str, object], ...]
    source: SourceRecord
    max_drop: float | None = None
    variants: tuple[Variant, ...]
    golden: tuple[Golden, ...]
    members: tuple[Member, ...] = ()
    # NOTE: absent, and not empty, so that the one JSON form of older bundles is what it was.
    references: tuple[Reference, ...] | UnsetType = UNSET

    def members_of(self, variant: str) -> set[str]:
        """The names of the members that hold the model of `variant` and its golden samples."""
        (one,) = (each for each in self.variants if each.name == variant)
        (golden,) = (each for each in self.golden if each.placement == one.placement)
        samples = (golden.input_member, *golden.state_members, *golden.output_members)
        return {*one.files, *one.golden_outputs, *samples}

    def reference(self, placement: Placement) -> Reference | None:
        """What was known of the pictures of one placement; None where nothing was."""
        references = () if self.references is UNSET else self.references
        return next((one for one in references if one.placement == placement), None)


class _Version(Struct, frozen=True, kw_only=True):
    schema_version: int
    kind: str = ""


def kind_of(encoded: bytes, where: str) -> str:
    """The kind that the manifest `encoded` says: "" for a bundle of one network.

    Raises:
        BundleFormatError: it is not the JSON form of a manifest.
    """
    return _version_of(encoded, where).kind


def encode_manifest(manifest: Struct, where: str) -> bytes:
    """The one JSON form of `manifest`: fields in order, keys of tables sorted, no spaces.

    Raises:
        BundleFormatError: a value is of the wrong type, or a number is not finite.
    """
    try:
        _check_finite(msgspec.to_builtins(manifest), f"{where}: manifest")
        loose = msgspec.json.encode(manifest)
        # A second round turns whole numbers into floats where the field is a float.
        return _encode(msgspec.json.decode(loose, type=type(manifest)))
    except BundleFormatError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleFormatError(f"{where}: manifest must hold plain values, got {error}") from error


def decode_manifest(encoded: bytes, where: str, type_: type[T]) -> T:
    """The manifest that `encode_manifest` made `encoded` from; no other JSON is accepted.

    One form for one value leaves no room for repeated or unknown keys, on which readers disagree.

    Raises:
        IncompatibleBundle: it has the schema of a later edgeprep.
        BundleFormatError: it is not the JSON form of a manifest.
    """
    version = _version_of(encoded, where).schema_version
    if version > SCHEMA_VERSION:
        raise IncompatibleBundle(
            f"{where}: manifest must have schema version {SCHEMA_VERSION}, got {version}; "
            "upgrade edgeprep to read it"
        )
    try:
        manifest = msgspec.json.decode(encoded, type=type_)
        canonical = _encode(manifest)
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"{where}: manifest must fit its schema, got {error}") from error
    if version != SCHEMA_VERSION:
        raise BundleFormatError(
            f"{where}: manifest must have schema version {SCHEMA_VERSION}, got {version}"
        )
    if canonical != encoded:
        raise BundleFormatError(
            f"{where}: manifest must be in canonical JSON, got repeated, unknown, missing or "
            "reordered keys, spaces, or numbers written another way"
        )
    return manifest


def _version_of(encoded: bytes, where: str) -> _Version:
    try:
        return msgspec.json.decode(encoded, type=_Version)
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"{where}: manifest must fit its schema, got {error}") from error


def _encode(manifest: Struct) -> bytes:
    return msgspec.json.encode(manifest, order="deterministic")


def _check_finite(value: object, where: str) -> None:
    # msgspec writes NaN and infinity as null, without a word.
    if isinstance(value, float) and not math.isfinite(value):
        raise BundleFormatError(f"{where} must hold finite numbers, got {value!r}")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_finite(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_finite(item, f"{where}[{index}]")
