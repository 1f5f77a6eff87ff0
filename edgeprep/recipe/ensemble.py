"""What a person writes of an ensemble: a TOML file of its own kind, as frozen values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edgeprep import schema
from edgeprep.errors import RecipeError
from edgeprep.recipe.checks import NAME, check_data, check_name, check_use
from edgeprep.recipe.file import is_ensemble, read_file, read_toml
from edgeprep.recipe.tables import Text, UseTable

__all__ = [
    "EnsembleBudget",
    "EnsembleData",
    "EnsembleRecipe",
    "EnsembleText",
    "MemberTable",
    "is_ensemble_file",
    "load_ensemble_recipe",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTable:
    """`[[member]]`: one network.

    Attributes:
        bundle: its `.edgeprep` file, relative to the recipe.
        weight: how much its answers count, beside those of the others.
        prefer: which of its variants may answer: a variant, format or precision; absent: all.
    """

    bundle: Text
    weight: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    prefer: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleData:
    """`[data]`: pictures, each table with `use` for a reader or with `factory` for code.

    Attributes:
        training: labelled samples that combiner "stack" learns from; best such as no member has
            learnt from, for members are surer of those than of others.
        evaluation: labelled samples that ensemble and members are scored on.
        fps: how many of either were taken in a second, where stages ask for the time.
    """

    training: Mapping[str, object] | None = None
    evaluation: Mapping[str, object] | None = None
    fps: Annotated[float, Meta(gt=0, le=1e6)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleBudget:
    """`[budget]`: what an ensemble must bring.

    Attributes:
        metric: one of the task's metrics, such as "accuracy".
        min_gain: by how much it must be better than its best member on the evaluation data,
            absolute; absent: it may be worse.
    """

    metric: Text
    min_gain: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleText:
    """All that the recipe of an ensemble says.

    Attributes:
        name: of the bundle: lower-case letters, digits and hyphens.
        member: the networks, at least two.
        combine: how their results become one.
        task: what the results are; members must be of the same one, with the same labels.
        data: pictures to learn from and to be scored on.
        budget: what it must bring.
    """

    name: Annotated[str, Meta(extra_json_schema={"pattern": NAME})]
    member: Annotated[tuple[MemberTable, ...], Meta(min_length=2, max_length=16)]
    combine: UseTable
    task: UseTable
    data: EnsembleData = field(default_factory=EnsembleData)
    budget: EnsembleBudget | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_use("combine", self.combine)
        check_use("task", self.task)
        check_data("data.training", self.data.training)
        check_data("data.evaluation", self.data.evaluation)
        if self.budget is not None and self.data.evaluation is None:
            remedy = "add it, or leave [budget] out"
            raise RecipeError(
                f"budget: needs data.evaluation to be measured on, got none; {remedy}"
            )
        if self.data.training is not None and self.data.training == self.data.evaluation:
            remedy = "name other pictures, or what was learnt by heart is scored"
            raise RecipeError(
                f"data.training: must be other data than data.evaluation, got the same; {remedy}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRecipe(EnsembleText):
    """The recipe of an ensemble, and where it lies.

    Attributes:
        directory: where its relative paths start.
        sha256: of the bytes of its file, in hexadecimal; "" where it comes from no file.
    """

    directory: Path
    sha256: str = ""

    def read(self, name: str) -> bytes:
        """The content of the file at `name`, a path relative to the recipe.

        Raises:
            StorageError: it cannot be read.
        """
        return read_file(self.directory / name)


def load_ensemble_recipe(path: str | PathLike[str]) -> EnsembleRecipe:
    """The recipe of an ensemble in the TOML file at `path`.

    No other file is touched and no code is run.

    Raises:
        RecipeError: the file cannot be read, or breaks a rule; the message starts with the path of
            the file, or with the path of the fault inside it.
    """
    path = Path(path)
    table, content = read_toml(path)
    if "model" in table:
        rule = "must be the recipe of an ensemble"
        remedy = "edgeprep convert makes its bundle"
        raise RecipeError(f"{path}: {rule}, got that of one network; {remedy}")
    text = schema.build(EnsembleText, table, "")
    return EnsembleRecipe(
        **{name: getattr(text, name) for name in schema.fields(EnsembleText)},
        directory=path.parent,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def is_ensemble_file(path: str | PathLike[str]) -> bool:
    """Whether the recipe at `path` is that of an ensemble.

    Raises:
        RecipeError: the file cannot be read, or is not TOML.
    """
    return is_ensemble(read_toml(Path(path))[0])
