"""A table of a recipe or a bundle to the stage that it names."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from edgeprep.errors import EdgePrepError, RecipeError, UnknownName
from edgeprep.interfaces import FileStage, Stage
from edgeprep.schema import build

__all__ = ["Files", "StageRegistry", "build_stage"]

# Reads what a stage asks for by name, such as `Recipe.read` or `Bundle.member`.
Files = Callable[[str], bytes]


class StageRegistry(Protocol):
    """Where stages are looked up."""

    def get(self, kind: Literal["stage"], name: str, /) -> type[Any]:
        """The class that offers `name`, which may carry a version, as in "resize@1"."""


def build_stage(
    table: Mapping[str, object], registry: StageRegistry, path: str, files: Files | None = None
) -> Stage:
    """The stage that `table` describes, of the class that its `use` names.

    Args:
        table: its other keys are the fields of the stage.
        registry: where the name is looked up.
        path: of the table, for messages, such as `preprocess[1]`.
        files: reads the file of a stage that has one; None: there are no files.

    Raises:
        RecipeError: nothing offers the name, a key is wrong, or its file is of no use.
    """
    options = dict(table)
    name = options.pop("use", None)
    if not isinstance(name, str):
        raise RecipeError(f"{path}.use: must be the name of a stage, got {name!r}")
    try:
        cls = registry.get("stage", name)
    except UnknownName as error:
        raise RecipeError(f"{path}.use: {error}") from error
    stage: Stage = build(cls, options, path)
    if not isinstance(stage, FileStage):
        return stage
    if files is None:
        rule = "must be a stage that needs no file"
        remedy = "put it under [[preprocess]] of a recipe"
        raise RecipeError(f"{path}.use: {rule}, got {name!r}; {remedy}")
    try:
        return stage.opened(files(getattr(stage, stage.file)), registry)
    except EdgePrepError as error:
        raise RecipeError(f"{path}.{stage.file}: {error}") from error
