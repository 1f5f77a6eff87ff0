"""The combiners by the names that recipes use."""

from collections.abc import Mapping

from edgeprep.combine.average import Average
from edgeprep.combine.boxes import Boxes
from edgeprep.combine.combiner import Combiner
from edgeprep.combine.stack import Stack
from edgeprep.combine.vote import Vote
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Blending, Task
from edgeprep.schema import build, nearest_or_all, show

__all__ = ["COMBINERS", "build_combiner", "need_blending"]

COMBINERS: Mapping[str, type[Combiner]] = {
    combiner.name: combiner for combiner in (Average, Vote, Stack, Boxes)
}


def build_combiner(table: Mapping[str, object], task: Task) -> Combiner:
    """What the table `[combine]` describes.

    Args:
        table: such as ``{"use": "boxes", "iou": 0.6}``, in manifests with the version of what it
            computes, ``"boxes@1"``.
        task: that of the results.

    Raises:
        RecipeError: there is no such combiner, it is of another version, it does not fit the task,
            or a key is wrong.
    """
    kind = need_blending(task).kind
    use = table.get("use")
    name = use.partition("@")[0] if isinstance(use, str) else ""
    if name not in COMBINERS:
        remedy = nearest_or_all(str(use), COMBINERS)
        raise RecipeError(f"combine.use: must name a combiner, got {show(use)}{remedy}")
    combiner = COMBINERS[name]
    known = f"{name}@{combiner.version}"
    if use not in (name, known):
        raise RecipeError(
            f"combine.use: must be of the version that is here, {known!r}, got {use!r}"
        )
    if kind not in combiner.kinds:
        fitting = " or ".join(repr(one.name) for one in COMBINERS.values() if kind in one.kinds)
        rule = f"must be one that joins results of task {task.name!r}"
        raise RecipeError(f"combine.use: {rule}, got {use!r}; it may be {fitting}")
    return build(combiner, {key: value for key, value in table.items() if key != "use"}, "combine")


def need_blending(task: Task) -> Blending:
    """How results of `task` are taken apart and made.

    Raises:
        RecipeError: nobody can join them.
    """
    if task.blending is None:
        rule = "must be a task whose results can be joined"
        raise RecipeError(f"task.use: {rule}, got {task.name!r}, which has no blending")
    return task.blending
