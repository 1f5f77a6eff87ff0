"""The plan: everything that can be known to be wrong is found before any work is done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from edgeprep.conversion.passes import check_passes
from edgeprep.data import Samples, build_reader
from edgeprep.errors import (
    BackendUnavailable,
    OutputRefused,
    RecipeError,
    UnknownName,
)
from edgeprep.files import check_output
from edgeprep.interfaces import (
    Backend,
    Exporter,
    FileStage,
    Pass,
    Placement,
    Precision,
    Quantization,
    Stage,
    Task,
)
from edgeprep.metrics import Metric, metric_for
from edgeprep.recipe import Recipe, TargetTable
from edgeprep.registry import Kind, Registry, create, missing_requirements
from edgeprep.runtime.candidates import construct
from edgeprep.runtime.tiled import check_tiling
from edgeprep.schema import build, fields
from edgeprep.stages.chain import Chain
from edgeprep.train import build_augment, check_pictures

__all__ = ["Held", "Plan", "PlannedVariant", "check_targets", "make_plan"]

# Labelled data: those that a conversion is held to, and those that one may choose by before.
Held = Literal["evaluation", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """One variant to be made: who writes it and who runs it for the gates."""

    name: str
    where: str
    exporter: Exporter
    backend: Backend
    precision: Precision
    placement: Placement
    keep_float: tuple[str, ...]
    quantization: Quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A recipe with every name in it resolved.

    `metric` is None where the recipe names no evaluation data, or the task cannot be scored.
    `evaluation` is the data that `held_out` names.
    """

    recipe: Recipe
    output: Path
    chain: Chain
    task: Task
    metric: Metric | None
    calibration: Samples | None
    evaluation: Samples | None
    held_out: Held
    augment: tuple[Stage, ...]
    passes: tuple[Pass, ...]
    variants: tuple[PlannedVariant, ...]
    registry: Registry

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The cuts that variants are made for, each once."""
        return tuple(dict.fromkeys(variant.placement for variant in self.variants))


def make_plan(
    recipe: Recipe,
    output: str | PathLike[str],
    *,
    overwrite: bool,
    registry: Registry,
    held_out: Held = "evaluation",
) -> Plan:
    """What a conversion of `recipe` to `output` will do.

    Args:
        recipe: what is converted.
        output: where to.
        overwrite: whether a file that is there may be replaced.
        registry: where names are looked up.
        held_out: which data scores are measured on.

    Raises:
        RecipeError: a name, an option or a combination in the recipe is wrong.
        OutputExists: `output` is there and `overwrite` is False.
        OutputRefused: `output` cannot be a file, or is one that is read.
        BackendUnavailable: a library that a target needs is not installed.
    """
    path = Path(output)
    check_output(path, overwrite=overwrite)
    check_targets(recipe)
    _check_no_input(path, recipe)
    chain = Chain.of_recipe(recipe, registry)
    for stage in chain.stages:
        if isinstance(stage, FileStage):
            file = recipe.directory / getattr(stage, stage.file)
            _check_other(path, file, f"the file of stage {stage.name!r}")
    # Nothing varies in a conversion; but a recipe that trains wrongly is found now.
    augment = build_augment(recipe.augment, chain=chain, registry=registry)
    placements = chain.placements(recipe.placement)
    for placement in placements:
        chain.cut(placement)
    task: Task = build_named(registry, "task", recipe.task, "task")
    check_pictures(task, recipe)
    check_tiling(task, chain, states=recipe.model.states)
    if recipe.data.calibration is None and recipe.data.evaluation is None:
        raise RecipeError(
            "data: must name calibration or evaluation pictures, got neither; every variant is "
            "held to the source on them"
        )
    evaluation = _open(recipe, getattr(recipe.data, held_out), f"data.{held_out}", task)
    metric = None
    if recipe.budget is not None and evaluation is not None:
        metric = metric_for(task, recipe.budget.metric)
    elif evaluation is not None and task.metrics:
        metric = metric_for(task, task.metrics[0])
    passes = tuple(
        build_named(registry, "pass", table, f"compress[{index}]")
        for index, table in enumerate(recipe.compress)
    )
    check_passes(passes, recipe, chain=chain, task=task, registry=registry)
    return Plan(
        recipe=recipe,
        output=path,
        chain=chain,
        task=task,
        metric=metric,
        calibration=_open(recipe, recipe.data.calibration, "data.calibration", None),
        evaluation=evaluation,
        held_out=held_out,
        augment=augment,
        passes=passes,
        variants=tuple(_variants(recipe, placements, registry)),
        registry=registry,
    )


def check_targets(recipe: Recipe) -> None:
    """Refuse a recipe that is meant for training alone.

    Raises:
        RecipeError: it names no target.
    """
    if not recipe.target:
        remedy = "add a [[target]] with format and precision; only training does without"
        raise RecipeError(f"target: must name a format to write, got none; {remedy}")


def build_named(
    registry: Registry,
    kind: Kind,
    table: Mapping[str, object],
    where: str,
    key: str = "use",
    beside: Collection[str] = (),
) -> Any:
    """The value that `table` describes, of the class that its `key` names; `beside` as in `build`.

    Raises:
        RecipeError: no installed plugin offers the name, or another key is wrong.
        BackendUnavailable: a library that the class needs is not installed.
    """
    if key not in table:
        raise RecipeError(f"{where}.{key}: required key is missing")
    try:
        cls = registry.get(kind, str(table[key]))
    except UnknownName as error:
        raise RecipeError(f"{where}.{key}: {error}") from error
    _check_requirements(cls, kind)
    options = {name: value for name, value in table.items() if name != key}
    return build(cls, options, where, beside=beside)


def _variants(
    recipe: Recipe, placements: Sequence[Placement], registry: Registry
) -> list[PlannedVariant]:
    planned = []
    backends: dict[str, Backend] = {}
    for index, target in enumerate(recipe.target):
        where = f"target[{index}]"
        table = {"format": target.format, **target.options}
        beside = [name for name in fields(TargetTable) if name != "options"]
        exporter: Exporter = build_named(registry, "exporter", table, where, "format", beside)
        if target.format not in backends:
            backends[target.format] = _backend(target.format, registry, where)
        for precision in target.precision:
            if precision not in exporter.precisions:
                known = ", ".join(map(repr, exporter.precisions))
                raise RecipeError(
                    f"{where}.precision: {target.format!r} offers {known}, got {precision!r}"
                )
            # Only these can saturate: all others have float in their products, or 32 bits.
            policies = recipe.quantize.policies if precision == "int8" else (_policy(recipe),)
            for policy in policies:
                _check_range(backends[target.format], target.format, precision, policy)
            for placement, policy in product(placements, policies):
                suffix = f"-{placement}" if len(placements) > 1 else ""
                suffix += f"-{policy.weight_range}" if len(policies) > 1 else ""
                planned.append(
                    PlannedVariant(
                        name=f"{target.format}-{precision}{suffix}",
                        where=where,
                        exporter=exporter,
                        backend=backends[target.format],
                        precision=precision,
                        placement=placement,
                        keep_float=target.keep_float,
                        quantization=policy,
                    )
                )
    return planned


def _check_range(
    backend: Backend, format_: str, precision: Precision, policy: Quantization
) -> None:
    """Refuse what would be wrong on this machine without an error, as its scores would be."""
    refusal = backend.refuse(backend.devices()[0], precision, policy.weight_range)
    if refusal is not None:
        raise RecipeError(
            "quantize.weight_range: must be right on this machine, where variants are scored, got "
            f"{policy.weight_range!r} for {format_!r}: {refusal}; choose 'auto' or 'reduced', or "
            "convert where that is not so"
        )


def _policy(recipe: Recipe) -> Quantization:
    """That of precisions which have no use for two weight ranges."""
    first, *others = recipe.quantize.policies
    return replace(first, weight_range="auto") if others else first


def _backend(format: str, registry: Registry, where: str) -> Backend:  # noqa: A002
    """The backend that runs variants of `format` for the gates: the first that works here."""
    reasons = []
    for cls in registry.classes("backend"):
        if format in cls.formats:
            backend = construct(cls)
            if isinstance(backend, Backend):
                return backend
            reasons.append(f"{cls.name}: {backend}")
    raise BackendUnavailable(
        f"{where}.format: every variant is run before it is packed, and no backend can run "
        f"{format!r} here, got {reasons or 'none installed'}"
    )


def _open(
    recipe: Recipe, table: Mapping[str, object] | None, where: str, task: Task | None
) -> Samples | None:
    if table is None:
        return None
    reader = build_reader(table, where)
    return reader.open(directory=recipe.directory, where=where, task=task)


def _check_requirements(cls: type, kind: Kind) -> None:
    if missing_requirements(cls):
        create(cls)  # raises, with what to install


def _check_no_input(path: Path, recipe: Recipe) -> None:
    """Refuse an output that would replace what the conversion reads, `overwrite` or not."""
    if path.suffix in (".py", ".toml"):
        raise _kept(path, "a recipe or its code")
    if recipe.model.weights:
        _check_other(path, recipe.directory / recipe.model.weights, "the weights")


def _check_other(path: Path, file: Path, what: str) -> None:
    if path.resolve() == file.resolve():
        raise _kept(path, what)


def _kept(path: Path, what: str) -> OutputRefused:
    rule = f"must not be {what}, which would be replaced"
    return OutputRefused(f"{path}: {rule}, got {path.name!r}; name it {path.stem}.edgeprep")
