"""`[[augment]]`: what a recipe says of pictures that vary."""

from collections.abc import Mapping, Sequence

from edgeprep.errors import RecipeError, UnknownName
from edgeprep.interfaces import FileStage, Stage
from edgeprep.schema import build
from edgeprep.stages.chain import Chain, StageRegistry
from edgeprep.stages.draw import leaving

__all__ = ["build_augment"]


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
    stages: list[Stage] = []
    for index, table in enumerate(tables):
        path = f"augment[{index}]"
        options = dict(table)
        name = options.pop("use", None)
        if not isinstance(name, str):
            raise RecipeError(f"{path}.use: must be the name of a stage, got {name!r}")
        try:
            cls = registry.get("stage", name)
        except UnknownName as error:
            raise RecipeError(f"{path}.use: {error}") from error
        if issubclass(cls, FileStage):
            rule = "must be a stage that needs no file"
            raise RecipeError(f"{path}.use: {rule}, got {name!r}; put it under [[preprocess]]")
        stages.append(build(cls, options, path))
    varied = leaving(stages, chain.input).replace(dtype="uint8")
    try:
        output = Chain(input=varied, stages=chain.stages).output
    except RecipeError as error:
        size = [varied.height, varied.width]
        raise RecipeError(f"augment: leaves pictures of {size!r} pixels; {error}") from error
    if output != chain.output:
        got, want = ([image.height, image.width] for image in (output, chain.output))
        rule = f"must leave pictures that preprocess brings to {want!r} pixels, as others"
        raise RecipeError(f"augment: {rule}, got {got!r}; resize under [[preprocess]]")
    return tuple(stages)
