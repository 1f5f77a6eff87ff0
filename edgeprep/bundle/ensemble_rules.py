"""What must hold between the parts of an ensemble's manifest, whoever wrote it."""

from edgeprep.bundle.ensemble import EnsembleManifest
from edgeprep.bundle.rules import (
    check_input,
    check_members,
    check_shape,
    check_size,
    check_unique,
    require,
)

__all__ = ["MOST_PARTS", "check_ensemble"]

# Each is an engine in memory; more than these nobody waits for.
MOST_PARTS = 16


def check_ensemble(manifest: EnsembleManifest, where: str) -> None:
    """Check names, the tiling of the members, and that each of them is a part or was learnt.

    Raises:
        BundleFormatError: a rule is broken; the message names the place.
    """
    check_members(manifest.members, where)
    check_input(manifest.input, f"{where}: input")
    for key, table in (("task", manifest.task), ("combine", manifest.combine)):
        use = table.get("use")
        require(isinstance(use, str), f"{where}: {key}.use", "must be a name", use)
    count = len(manifest.parts)
    require(2 <= count <= MOST_PARTS, f"{where}: parts", f"must be 2 to {MOST_PARTS}", count)
    sizes = {member.name: member.size_bytes for member in manifest.members}
    for index, part in enumerate(manifest.parts):
        here = f"{where}: parts[{index}]"
        require(0 < part.weight < float("inf"), f"{here}.weight", "must be above 0", part.weight)
        require(part.bundle in sizes, f"{here}.bundle", "must name a member", part.bundle)
    check_unique([learnt.array.name for learnt in manifest.learnt], f"{where}: learnt")
    check_unique([learnt.member for learnt in manifest.learnt], f"{where}: learnt")
    for index, learnt in enumerate(manifest.learnt):
        here = f"{where}: learnt[{index}]"
        check_shape(learnt.array, here)
        check_size(learnt.member, learnt.array, sizes, here)
    used = {part.bundle for part in manifest.parts} | {each.member for each in manifest.learnt}
    for index, member in enumerate(manifest.members):
        rule = "must be a part or what was learnt"
        require(member.name in used, f"{where}: members[{index}]", rule, member.name)
