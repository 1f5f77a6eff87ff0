"""What a recipe says of pictures in training: how they vary, and how many networks see."""

from collections.abc import Mapping, Sequence

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage, Task
from edgeprep.recipe import Recipe
from edgeprep.stages.chain import Chain
from edgeprep.stages.named import StageRegistry, build_stage
from edgeprep.stages.random.draw import leaving

__all__ = ["build_augment", "check_pictures"]


def check_pictures(task: Task, recipe: Recipe) -> None:
    """Refuse a recipe whose network does not take as many pictures as it should.

    Raises:
        RecipeError: `task` is a matter of several pictures, and the network sees but one; or the
            network takes clips, and remembers besides.
    """
    if recipe.model.states and recipe.input.frames > 1:
        rule = "input.frames: must be 1 where the network has states, and takes frame by frame"
        raise RecipeError(f"{rule}, got {recipe.input.frames}")
    if task.clips and not recipe.model.states and recipe.input.frames == 1:
        rule = f"task {task.name!r} needs a network that sees several pictures"
        remedy = "set input.frames for one that takes clips, or model.state for one that remembers"
        raise RecipeError(f"task.use: {rule}, got neither input.frames nor model.state; {remedy}")


def build_augment(
    tables: Sequence[Mapping[str, object]], *, chain: Chain, registry: StageRegistry
) -> tuple[Stage, ...]:
    """The stages of `[[augment]]`, which come before the preprocessing in training.

    Args:
        tables: one a stage: those that vary pictures, and others between them.
        chain: the preprocessing, which takes the varied pictures as it takes others.
        registry: where the names are looked up.

    Raises:
        RecipeError: a table is wrong, a stage cannot work on what arrives at it, or the
            preprocessing cannot work on what leaves the last one.
    """
    stages = tuple(
        build_stage(table, registry, f"augment[{index}]") for index, table in enumerate(tables)
    )
    varied = leaving(stages, chain.input.replace(batch=1)).replace(dtype="uint8")
    varied = varied.replace(batch=chain.input.batch)
    try:
        output = Chain(input=varied, stages=chain.stages).output
    except RecipeError as error:
        size = [varied.height, varied.width]
        raise RecipeError(f"augment: leaves pictures of {size!r} pixels; {error}") from error
    if output != chain.output:
        got, want = ([image.height, image.width] for image in (output, chain.output))
        rule = f"must leave pictures that preprocess brings to {want!r} pixels, as others"
        raise RecipeError(f"augment: {rule}, got {got!r}; resize under [[preprocess]]")
    return stages
