"""What a person writes: a TOML file, as frozen values.

Only the frame is known here. Stages, tasks, data, compression steps and the exporters' own options
stay tables, which the rooms that own them build with `edgeprep.schema`.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from edgeprep import schema
from edgeprep.errors import RecipeError, StorageError
from edgeprep.files import open_regular
from edgeprep.interfaces import CALIBRATED, Placement
from edgeprep.recipe.budget import BudgetTable, QuantizeTable
from edgeprep.recipe.search import SearchTable
from edgeprep.recipe.tables import DataTable, InputTable, ModelTable, TargetTable, UseTable
from edgeprep.recipe.train import TrainTable

__all__ = ["Recipe", "RecipeText", "load_recipe"]

# Recipes are written by hand; what is larger is some other file.
MAX_SIZE_BYTES = 1_000_000
_NAME = "^[a-z0-9][a-z0-9-]*$"


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

    name: Annotated[str, Meta(extra_json_schema={"pattern": _NAME})]
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
        _check_name(self.name)
        _check_use("task", self.task)
        for index, table in enumerate(self.augment):
            _check_use(f"augment[{index}]", table)
        for index, table in enumerate(self.preprocess):
            _check_use(f"preprocess[{index}]", table)
        for index, table in enumerate(self.compress):
            _check_use(f"compress[{index}]", table)
        for name in ("calibration", "evaluation", "training", "validation"):
            _check_data(f"data.{name}", getattr(self.data, name))
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
        path = self.directory / name
        with open_regular(path) as file:
            try:
                return file.read()
            except OSError as error:
                rule = "must be a file that can be read"
                raise StorageError(f"{path}: {rule}, got {error.strerror!r}") from error


def load_recipe(path: str | PathLike[str]) -> Recipe:
    """The recipe in the TOML file at `path`.

    No other file is touched and no code is run: names are looked up when it is converted.

    Raises:
        RecipeError: the file cannot be read, or breaks a rule; the message starts with the path of
            the file, or with the path of the fault inside it.
    """
    path = Path(path)
    content = _read(path)
    text = schema.build(RecipeText, _parse(path, content), "")
    # Not where recipes are made, as a search has other calibrators in the place of this one.
    _check_percentile(text)
    return Recipe(
        **{name: getattr(text, name) for name in schema.fields(RecipeText)},
        directory=path.parent,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_SIZE_BYTES + 1)
    except StorageError as fault:
        raise RecipeError(str(fault)) from fault
    if len(content) > MAX_SIZE_BYTES:
        raise RecipeError(f"{path}: must have at most {MAX_SIZE_BYTES} bytes, got more")
    if not content.strip():
        raise RecipeError(f"{path}: must be a recipe, got an empty file")
    return content


def _parse(path: Path, content: bytes) -> Mapping[str, object]:
    try:
        # Editors on Windows put a byte order mark in front, which TOML 1.1 allows.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        rule = "must be UTF-8"
        raise RecipeError(f"{path}: {rule}, got {content[fault.start : fault.end]!r}") from fault
    except ValueError as fault:
        raise RecipeError(f"{path}: must be TOML, got {fault}") from fault
    except RecursionError:
        raise RecipeError(f"{path}: must be TOML, got values nested too deeply") from None


def _check_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        rule = "must be of lower-case letters, digits and hyphens, the first of them no hyphen"
        remedy = f"; such as {near!r}" if near else ""
        raise RecipeError(f"name: {rule}, got {schema.show(name)}{remedy}")


def _check_percentile(recipe: RecipeText) -> None:
    quantize = recipe.quantize
    if quantize.percentile is not None and quantize.ignores_percentile(recipe.budget):
        rule = "needs calibrator = 'percentile' to change anything"
        raise RecipeError(
            f"quantize.percentile: {rule}, got {quantize.calibrator!r}; set it, or leave "
            "percentile out"
        )


def _check_use(where: str, table: Mapping[str, object]) -> None:
    if "use" not in table:
        raise RecipeError(f"{where}.use: required key is missing")
    if not isinstance(table["use"], str):
        raise RecipeError(f"{where}.use: must be a string, got {schema.show(table['use'])}")


def _check_data(where: str, table: Mapping[str, object] | None) -> None:
    if table is not None and ("use" in table) == ("factory" in table):
        got = "both" if "use" in table else "neither"
        raise RecipeError(f"{where}: must have one of 'use' and 'factory', got {got}")


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
