"""What must hold between the parts of a manifest, whoever wrote it."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import get_args

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace

from edgeprep.bundle.manifest import Golden, Manifest, Member, Variant
from edgeprep.bundle.reference import Reference
from edgeprep.errors import BundleFormatError
from edgeprep.interfaces import Placement
from edgeprep.tensors import (
    LONGEST_CLIP,
    LONGEST_SIDE,
    MOST_PIXELS,
    CameraColor,
    ImageSpec,
    TensorSpec,
)

__all__ = [
    "ALIGNMENT",
    "aligned",
    "check_input",
    "check_manifest",
    "check_members",
    "check_shape",
    "check_size",
    "check_unique",
    "require",
    "size_of",
]

ALIGNMENT = 64
MAX_MEMBERS = 4096
MAX_STAGES = 256
MAX_CLASSES = 2**16
_MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def aligned(offset: int) -> int:
    """The first multiple of 64 that is not below `offset`."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def size_of(spec: TensorSpec) -> int:
    """How many bytes an array of this shape and type takes."""
    return prod(spec.shape) * np.dtype(spec.dtype).itemsize


def check_manifest(manifest: Manifest, where: str) -> None:
    """Check names, the tiling of the members, and every reference from one part to another.

    Raises:
        BundleFormatError: a rule is broken; the message names the place.
    """
    check_members(manifest.members, where)
    check_input(manifest.input, f"{where}: input")
    count = len(manifest.chain)
    require(count <= MAX_STAGES, f"{where}: chain", f"must be at most {MAX_STAGES}", count)
    task = manifest.task.get("use")
    require(isinstance(task, str), f"{where}: task.use", "must be the name of a task", task)
    sizes = {member.name: member.size_bytes for member in manifest.members}
    require(bool(manifest.variants), f"{where}: variants", "must be at least one", 0)
    golden = {entry.placement: entry for entry in manifest.golden}
    check_unique([entry.placement for entry in manifest.golden], f"{where}: golden")
    check_unique([variant.name for variant in manifest.variants], f"{where}: variants")
    for index, entry in enumerate(manifest.golden):
        _check_golden(entry, sizes, f"{where}: golden[{index}]")
    for index, variant in enumerate(manifest.variants):
        _check_variant(variant, golden, sizes, f"{where}: variants[{index}]")
        rule = f"must be of {manifest.input.batch}, as many frames as input has"
        pictures = variant.input.shape[0]
        fits = pictures == manifest.input.batch
        require(fits, f"{where}: variants[{index}].input", rule, pictures)
    if manifest.references is not UNSET:
        require(bool(manifest.references), f"{where}: references", "must be absent or some", 0)
        placements = [reference.placement for reference in manifest.references]
        check_unique(placements, f"{where}: references")
        for index, reference in enumerate(manifest.references):
            _check_reference(reference, f"{where}: references[{index}]")


def check_members(members: Sequence[Member], where: str) -> None:
    """Check the names, digests and tiling of members."""
    count = len(members)
    require(count <= MAX_MEMBERS, f"{where}: members", f"must be at most {MAX_MEMBERS}", count)
    end = 0
    for index, member in enumerate(members):
        here = f"{where}: members[{index}]"
        _check_name(member.name, here)
        require(
            _SHA256.fullmatch(member.sha256) is not None,
            f"{here}.sha256",
            "must be 64 lower-case hexadecimal digits",
            member.sha256,
        )
        start = aligned(end)
        require(member.offset == start, f"{here}.offset", f"must be {start}", member.offset)
        size = member.size_bytes
        rule = "must be at least 0 and below 2**63"
        require(0 <= size < 2**63, f"{here}.size_bytes", rule, size)
        end = start + size
    # The pattern has no capitals and ASCII only, so that no two names differ in case or form alone.
    check_unique([member.name for member in members], f"{where}: members")


def check_input(image: ImageSpec, where: str) -> None:
    """What a recipe may ask for; pictures of any size would fill the memory of a device."""
    for name, length in (("height", image.height), ("width", image.width)):
        bounded = length is None or 1 <= length <= LONGEST_SIDE
        require(bounded, f"{where}.{name}", f"must be 1 to {LONGEST_SIDE} pixels", length)
    if image.is_fixed:
        height, width = image.size
        rule = f"must have at most {MOST_PIXELS} pixels"
        require(height * width <= MOST_PIXELS, where, rule, [height, width])
        even = not image.is_planar or height % 2 == width % 2 == 0
        require(even, where, f"must be even, both ways, for {image.color!r}", [height, width])
    colors = get_args(CameraColor)
    require(image.color in colors, f"{where}.color", f"must be one of {colors}", image.color)
    rule = f"must be 1 to {LONGEST_CLIP} frames"
    require(1 <= image.batch <= LONGEST_CLIP, f"{where}.batch", rule, image.batch)
    camera = ImageSpec(
        height=image.height,
        width=image.width,
        color=image.color,
        yuv_range=image.yuv_range,
        batch=image.batch,
    )
    rule = "must be uint8 in 0..255, channels last, as cameras give pictures"
    require(image == camera, where, rule, image)


def _check_name(name: str, where: str) -> None:
    parts = name.split("/")
    well_formed = _MEMBER_NAME.fullmatch(name) and not {"", ".", ".."} & set(parts)
    rule = "must be a plain lower-case relative path of at most 100 characters"
    require(bool(well_formed), f"{where}.name", rule, name)


def _check_golden(golden: Golden, sizes: dict[str, int], where: str) -> None:
    _check_count(golden.output_members, golden.outputs, f"{where}.output_members")
    _check_count(golden.state_members, golden.states, f"{where}.state_members")
    arrays = [(golden.input_member, golden.input)]
    arrays += zip(golden.state_members, golden.states, strict=True)
    arrays += zip(golden.output_members, golden.outputs, strict=True)
    for member, spec in arrays:
        check_shape(spec, where)
        check_size(member, spec, sizes, where)


def _check_reference(reference: Reference, where: str) -> None:
    require(reference.pictures > 0, f"{where}.pictures", "must be above 0", reference.pictures)
    for name, spread in reference.features.items():
        ordered = spread.low <= spread.middle <= spread.high and spread.deviation >= 0
        rule = "must rise from low to high, and deviate by 0 or more"
        require(ordered, f"{where}.features.{name}", rule, spread)
    counts = reference.classes
    require(
        len(counts) <= MAX_CLASSES,
        f"{where}.classes",
        f"must be {MAX_CLASSES} at most",
        len(counts),
    )
    require(all(count >= 0 for count in counts), f"{where}.classes", "must be counts", counts)


def _check_variant(
    variant: Variant, golden: Mapping[Placement, Golden], sizes: dict[str, int], where: str
) -> None:
    _check_name(variant.name, where)
    require("/" not in variant.name, f"{where}.name", "must have no '/'", variant.name)
    _check_files(variant, sizes, where)
    require(variant.tolerance >= 0, f"{where}.tolerance", "must be at least 0", variant.tolerance)
    rule = f"must have golden samples, which are for {sorted(golden)}"
    require(variant.placement in golden, f"{where}.placement", rule, variant.placement)
    _check_reproducible(variant, golden[variant.placement], sizes, where)


def _check_files(variant: Variant, sizes: dict[str, int], where: str) -> None:
    prefix = f"variants/{variant.name}/"
    require(bool(variant.files), f"{where}.files", "must be at least one", 0)
    check_unique(variant.files, f"{where}.files")
    for name in variant.files:
        inside = name.startswith(prefix) and "/" not in name.removeprefix(prefix)
        require(inside, f"{where}.files", f"must lie in {prefix!r}", name)
        require(name in sizes, f"{where}.files", "must name members", name)
    total = sum(sizes[name] for name in variant.files)
    rule = f"must be {total}, the total of its files"
    require(variant.size_bytes == total, f"{where}.size_bytes", rule, variant.size_bytes)


def _check_reproducible(
    variant: Variant, golden: Golden, sizes: dict[str, int], where: str
) -> None:
    _check_count(variant.golden_outputs, golden.outputs, f"{where}.golden_outputs")
    for member, spec in zip(variant.golden_outputs, golden.outputs, strict=True):
        check_size(member, spec, sizes, f"{where}.golden_outputs")
    _check_count(variant.outputs, golden.outputs, f"{where}.outputs")
    _check_count(variant.states, golden.states, f"{where}.states")
    for spec in (variant.input, *variant.states, *variant.outputs):
        check_shape(spec, where)
    count = golden.input.shape[0] // variant.input.shape[0]
    _check_repeated(variant.input, golden.input, count, f"{where}.input")
    for kind in ("states", "outputs"):
        for spec, repeated in zip(getattr(variant, kind), getattr(golden, kind), strict=True):
            _check_repeated(spec, repeated, count, f"{where}.{kind}")
    _check_states(variant, where)


def _check_states(variant: Variant, where: str) -> None:
    """Whether the last outputs are what the states become."""
    count = len(variant.outputs) - len(variant.states)
    rule = f"must be fewer than the {len(variant.outputs)} outputs"
    require(count > 0, f"{where}.states", rule, len(variant.states))
    for state, new in zip(variant.states, variant.outputs[count:], strict=True):
        rule = f"{state.name!r} must be float32, and come back as output {new.name!r}"
        fits = state.dtype == "float32" and (new.shape, new.dtype) == (state.shape, state.dtype)
        require(fits, f"{where}.states", rule, _text(new))


def _check_repeated(spec: TensorSpec, repeated: TensorSpec, count: int, where: str) -> None:
    """Whether `repeated` is what `count` arrays like `spec`, one after another, make."""
    expected = replace(spec, shape=(count * spec.shape[0], *spec.shape[1:]))
    rule = f"must make golden arrays of {_text(repeated)!r}"
    require(expected == repeated, where, rule, _text(expected))


def _text(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec.dtype} {spec.shape}"


def check_shape(spec: TensorSpec, where: str) -> None:
    """Check that an array may be of this shape."""
    # Bounded, so that products stay numbers that can be printed.
    plain = 1 <= len(spec.shape) <= 16 and all(1 <= extent < 2**31 for extent in spec.shape)
    rule = "must be 1 to 16 extents, each at least 1 and below 2**31"
    require(plain, f"{where}: shape of {spec.name!r}", rule, spec.shape)


def check_size(member: str, spec: TensorSpec, sizes: dict[str, int], where: str) -> None:
    """Check that the array `spec` is what `member` has the bytes of."""
    require(member in sizes, where, "must name members", member)
    size = size_of(spec)
    rule = f"{member!r} must be {size} bytes long, as {spec.dtype} {spec.shape} is"
    require(sizes[member] == size, where, rule, sizes[member])


def _check_count(parts: Sequence[object], specs: Sequence[TensorSpec], where: str) -> None:
    require(len(parts) == len(specs), where, f"must be {len(specs)}", len(parts))


def check_unique(names: Sequence[str], where: str) -> None:
    """Check that no name is there twice."""
    seen: set[str] = set()
    for name in names:
        require(name not in seen, where, "must have unique names", name)
        seen.add(name)


def require(holds: bool, where: str, rule: str, got: object) -> None:
    """Raise BundleFormatError unless the rule at `where` holds."""
    if not holds:
        raise BundleFormatError(f"{where}: {rule}, got {got!r}")
