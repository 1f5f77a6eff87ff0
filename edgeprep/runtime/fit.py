"""Which networks can answer together: what their tasks and their pictures must have in common."""

from collections.abc import Sequence

from edgeprep.combine.combiners import need_blending
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Blending, Task
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.schema import show
from edgeprep.tensors import ImageSpec

__all__ = ["check_fit"]


def check_fit(task: Task, members: Sequence[OpenedBundle], place: str) -> ImageSpec:
    """The pictures that all of `members` take, whose results become one of `task`.

    Args:
        task: of the joined results.
        members: at least one.
        place: what messages call a member, such as "parts[{}]", with its number put in.

    Raises:
        RecipeError: they do not fit together; the message begins with the place of one.
    """
    blending = need_blending(task)
    for index, member in enumerate(members):
        where = place.format(index)
        if member.task.name != task.name:
            rule = f"must be of task {task.name!r}, as task.use says"
            raise RecipeError(f"{where}: {rule}, got {member.task.name!r}")
        _check_same(blending, need_blending(member.task), where)
    taken = [taken_by(member) for member in members]
    image = taken[0]
    for index, other in enumerate(taken):
        image = _both(image, other, place.format(index))
    return image


def taken_by(member: OpenedBundle) -> ImageSpec:
    """The pictures that a session of `member` takes."""
    image = member.bundle.manifest.input
    # Those that join tiles take any size.
    return image if member.task.tiling is None else image.replace(height=None, width=None)


def _check_same(ours: Blending, theirs: Blending, where: str) -> None:
    for key, wanted in ours.same.items():
        got, place = theirs.same.get(key), f"task.{key}"
        if got == wanted:
            continue
        if isinstance(got, tuple) and isinstance(wanted, tuple):
            if len(got) != len(wanted):
                rule = f"its {place} must have {len(wanted)} entries, as the ensemble's"
                raise RecipeError(f"{where}: {rule}, got {len(got)}")
            at = next(i for i, pair in enumerate(zip(got, wanted, strict=True)) if len({*pair}) > 1)
            place, got, wanted = f"{place}[{at}]", got[at], wanted[at]
        rule = f"its {place} must be {show(wanted)}, as the ensemble's"
        raise RecipeError(f"{where}: {rule}, got {show(got)}")


def _both(image: ImageSpec, other: ImageSpec, where: str) -> ImageSpec:
    """What is as `image` and as `other`."""
    facts = (
        ("pictures in {!r}", image.color, other.color),
        ("planes of range {!r}", image.yuv_range, other.yuv_range),
        ("{} frames at once", image.batch, other.batch),
    )
    for words, wanted, got in facts:
        if wanted != got:
            rule = f"must take {words.format(wanted)}, as the members before it do"
            raise RecipeError(f"{where}: {rule}, got {got!r}")
    for ours, theirs in ((image.height, other.height), (image.width, other.width)):
        if None not in (ours, theirs) and ours != theirs:
            sizes = [image.height, image.width], [other.height, other.width]
            rule = f"must take pictures of {sizes[0]!r} pixels, as the members before it do"
            remedy = "make it without input.size, and with a resize"
            raise RecipeError(f"{where}: {rule}, got {sizes[1]!r}; {remedy}")
    return image.replace(height=image.height or other.height, width=image.width or other.width)
