"""What a person writes: a TOML file, as frozen values.

Only the frame is known here. Stages, tasks, data, compression steps and the exporters' own options
stay tables, which the rooms that own them build with `edgeprep.schema`.
"""

import hashlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from edgeprep import schema
from edgeprep.errors import RecipeError
from edgeprep.interfaces import CALIBRATED, Placement
from edgeprep.recipe.budget import BudgetTable, QuantizeTable
from edgeprep.recipe.checks import NAME, check_data, check_name, check_use
from edgeprep.recipe.file import is_ensemble, read_file, read_toml
from edgeprep.recipe.search import SearchTable
from edgeprep.recipe.tables import DataTable, InputTable, ModelTable, TargetTable, UseTable
from edgeprep.recipe.train import TrainTable

__all__ = ["Recipe", "RecipeText", "load_recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeText:
    """All that a recipe file says.

    Attributes:
        name: of the bundle: lower-case letters, digits and hyphens.
        model: where the network comes from.
        task: what its outputs mean.
        target: the formats to write; absent where the recipe is for training alone.
        input: the pictures that an application hands over.
        augment: how those pictures vary in training, which comes before `preprocess`. Other
            commands check that it could be done, and do not do it.
        preprocess: from those pictures to what the network takes, in order.
        placement: what of it is inside the exported graph: all ("graph"), as little as possible
            ("host"), all but the first steps up to a fixed size ("split"), or each of these, for
            the device to measure ("auto").
        data: pictures for calibration, evaluation and training.
        train: how networks learn, in `edgeprep train` and in compression steps that fine-tune.
        compress: compression steps, in order.
        quantize: how int8 targets become integers, in every format alike.
        budget: what may be lost.
        search: which combinations `edgeprep search` tries.
    """

    name: Annotated[str, Meta(extra_json_schema={"pattern": NAME})]
    model: ModelTable
    task: UseTable
    target: Annotated[tuple[TargetTable, ...], Meta(min_length=1)] = ()
    input: InputTable = field(default_factory=InputTable)
    augment: tuple[UseTable, ...] = ()
    preprocess: tuple[UseTable, ...] = ()
    placement: Placement | Literal["auto"] = "split"
    data: DataTable = field(default_factory=DataTable)
    train: TrainTable = field(default_factory=TrainTable)
    compress: tuple[UseTable, ...] = ()
    quantize: QuantizeTable = field(default_factory=QuantizeTable)
    budget: BudgetTable | None = None
    search: SearchTable = field(default_factory=SearchTable)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_use("task", self.task)
        for index, table in enumerate(self.augment):
            check_use(f"augment[{index}]", table)
        for index, table in enumerate(self.preprocess):
            check_use(f"preprocess[{index}]", table)
        for index, table in enumerate(self.compress):
            check_use(f"compress[{index}]", table)
        for name in ("calibration", "evaluation", "training", "validation"):
            check_data(f"data.{name}", getattr(self.data, name))
        _check_targets(self.target, self.data)
        if self.budget is not None and self.data.evaluation is None:
            remedy = "add it, or leave [budget] out"
            raise RecipeError(
                f"budget: needs data.evaluation to be measured on, got none; {remedy}"
            )
        tunes = self.budget is not None and "fine-tune" in self.budget.repair
        if tunes and self.data.training is None:
            remedy = "add it, or leave 'fine-tune' out"
            raise RecipeError(f"budget.repair: 'fine-tune' needs data.training, got none; {remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(RecipeText):
    """A recipe, and where it lies.

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


def load_recipe(path: str | PathLike[str]) -> Recipe:
    """The recipe in the TOML file at `path`.

    No other file is touched and no code is run: names are looked up when it is converted.

    Raises:
        RecipeError: the file cannot be read, or breaks a rule; the message starts with the path of
            the file, or with the path of the fault inside it.
    """
    path = Path(path)
    table, content = read_toml(path)
    if is_ensemble(table):
        rule = "must be the recipe of one network"
        remedy = "edgeprep ensemble makes its bundle, edgeprep evaluate scores that"
        raise RecipeError(f"{path}: {rule}, got that of an ensemble; {remedy}")
    text = schema.build(RecipeText, table, "")
    # Not where recipes are made, as a search has other calibrators in the place of this one.
    _check_percentile(text)
    return Recipe(
        **{name: getattr(text, name) for name in schema.fields(RecipeText)},
        directory=path.parent,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _check_percentile(recipe: RecipeText) -> None:
    quantize = recipe.quantize
    if quantize.percentile is not None and quantize.ignores_percentile(recipe.budget):
        rule = "needs calibrator = 'percentile' to change anything"
        raise RecipeError(
            f"quantize.percentile: {rule}, got {quantize.calibrator!r}; set it, or leave "
            "percentile out"
        )


def _check_targets(targets: tuple[TargetTable, ...], data: DataTable) -> None:
    first: dict[tuple[str, str], int] = {}
    for index, target in enumerate(targets):
        for precision in target.precision:
            earlier = first.setdefault((target.format, precision), index)
            if earlier != index:
                rule = f"must differ from target[{earlier}]"
                got = f"{target.format!r} in {precision!r} again"
                raise RecipeError(f"target[{index}].precision: {rule}, got {got}")
        calibrated = [precision for precision in target.precision if precision in CALIBRATED]
        if calibrated and data.calibration is None:
            remedy = 'name pictures there; noise only by its name, { use = "random", samples = 64 }'
            raise RecipeError(
                f"target[{index}].precision: {calibrated[0]!r} needs data.calibration, got none; "
                f"{remedy}"
            )
