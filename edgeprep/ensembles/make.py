"""The making of an ensemble: a recipe and finished bundles in, one bundle out."""

import platform
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import (
    EnsembleBundle,
    EnsembleManifest,
    Learnt,
    Part,
    SourceRecord,
    write_ensemble,
)
from edgeprep.combine import Combiner, Terms, build_combiner
from edgeprep.combine.combiners import need_blending
from edgeprep.conversion.evaluation import Evaluation
from edgeprep.conversion.plan import build_named
from edgeprep.conversion.scoring import choose_metrics
from edgeprep.data import Progress, Samples, build_reader, silent
from edgeprep.ensembles.answers import Answered, answer_all
from edgeprep.ensembles.members import Members, read_members
from edgeprep.ensembles.result import EnsembleResult
from edgeprep.ensembles.score import gain, record_of, score_ensemble
from edgeprep.ensembles.together import check_together
from edgeprep.errors import BudgetError, DataError, OutputRefused, RecipeError
from edgeprep.files import check_no_input, check_output
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric
from edgeprep.recipe import EnsembleRecipe, load_ensemble_recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.ensemble_session import EnsembleSession, name_members
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.opened_ensemble import choose_members
from edgeprep.tensors import TensorSpec
from edgeprep.version import __version__

__all__ = ["ensemble"]


def ensemble(
    recipe: EnsembleRecipe | str | PathLike[str],
    output: str | PathLike[str],
    *,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> EnsembleResult:
    """Make the bundle of the ensemble that `recipe` describes.

    Its members travel in it whole. They are run on this machine, each on the first candidate that
    computes the right numbers: on one picture, to see that their results can be joined; on the
    training data, where the combiner learns; and on the evaluation data, where there are any.

    Args:
        recipe: the recipe of an ensemble, or the path of its TOML file.
        output: the bundle to write.
        overwrite: whether a file that is there already may be replaced.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule, or its members do not fit together.
        BundleError: a member is no whole, unchanged bundle of one network.
        NoUsableBackend: a member has no candidate that can run here.
        DataError: training or evaluation data cannot be used, or they share pictures.
        BudgetError: it gains less than the recipe's budget asks for.
        StorageError: the output or a temporary file cannot be written; `OutputExists` where it is
            there already.
    """
    if not isinstance(recipe, EnsembleRecipe):
        recipe = load_ensemble_recipe(recipe)
    registry = registry or default_registry()
    path = Path(output)
    _check_output(recipe, path, overwrite=overwrite)
    task: Task = build_named(registry, "task", recipe.task, "task")
    combiner = build_combiner(recipe.combine, task)
    _check_task(recipe, task)
    _check_learning(recipe, combiner)
    training = _open(recipe, recipe.data.training, "data.training", task)
    evaluation = _open(recipe, recipe.data.evaluation, "data.evaluation", task)
    metrics = () if evaluation is None else choose_metrics(recipe, task, None)
    with progress("read the members") as done:
        members = read_members(recipe, task, registry)
        names = name_members([one.bundle.manifest.name for one in members.opened])
        done(", ".join(names))
    sessions = choose_members(members.opened, prefer=None, probe=False, seconds=0.0)

    def joined(learnt: Mapping[str, NDArray[np.float32]]) -> EnsembleSession:
        return EnsembleSession(
            name=recipe.name,
            input=members.input,
            task=task.for_scoring(),
            members=sessions,
            combiner=combiner,
            terms=_terms(recipe, task, learnt),
        )

    with joined(_nothing_learnt(combiner, recipe, task)) as unlearnt:
        check_together(unlearnt)
        learnt, taught = _learn(sessions, task, combiner, recipe, training, progress)
        scored: tuple[Evaluation, Answered] | None = None
        if evaluation is not None:
            scored = _score(joined(learnt), recipe, evaluation, metrics, taught, progress)
    with progress("pack") as done:
        record = SourceRecord() if scored is None else record_of(*scored)
        bundle = _pack(recipe, combiner, members, learnt, record, path, overwrite=overwrite)
        done(f"{path}, {bundle.size_bytes:,} bytes")
    return EnsembleResult(
        bundle=path,
        manifest=bundle.manifest,
        evaluation=None if scored is None else scored[0],
        trained=0 if taught is None else len(taught.truths),
    )


def _check_output(recipe: EnsembleRecipe, path: Path, *, overwrite: bool) -> None:
    check_output(path, overwrite=overwrite)
    if path.suffix in (".py", ".toml"):
        rule = "must not be a recipe or its code, which would be replaced"
        raise OutputRefused(f"{path}: {rule}, got {path.name!r}; name it {path.stem}.edgeprep")
    for table in recipe.member:
        check_no_input(path, recipe.directory / table.bundle)


def _check_task(recipe: EnsembleRecipe, task: Task) -> None:
    """Refuse what a copied `[task]` of a member says of its outputs: nobody would heed it."""
    for key in need_blending(task).unheard:
        if key in recipe.task:
            rule = f"must be absent in an ensemble, whose members say it of their own {task.name!r}"
            raise RecipeError(f"task.{key}: {rule}, got {recipe.task[key]!r}")


def _check_learning(recipe: EnsembleRecipe, combiner: Combiner) -> None:
    """Refuse data that nobody learns from, and weights that nobody looks at."""
    name, training = combiner.name, recipe.data.training
    if not combiner.learns:
        if training is not None:
            rule = f"must be absent for combiner {name!r}, which learns nothing"
            raise RecipeError(f"data.training: {rule}, got {dict(training)!r}")
        return
    if training is None:
        raise RecipeError(f"data.training: required key is missing; combiner {name!r} learns on it")
    for index, table in enumerate(recipe.member):
        if table.weight != 1.0:
            rule = f"must be absent for combiner {name!r}, which learns weights"
            raise RecipeError(f"member[{index}].weight: {rule}, got {table.weight!r}")


def _open(
    recipe: EnsembleRecipe, table: Mapping[str, object] | None, where: str, task: Task
) -> Samples | None:
    if table is None:
        return None
    reader = build_reader(table, where)
    return reader.open(directory=recipe.directory, where=where, task=task)


def _terms(recipe: EnsembleRecipe, task: Task, learnt: Mapping[str, NDArray[Any]]) -> Terms:
    weights = np.array([table.weight for table in recipe.member], np.float64)
    return Terms(kind=need_blending(task).kind, weights=weights, learnt=learnt)


def _nothing_learnt(
    combiner: Combiner, recipe: EnsembleRecipe, task: Task
) -> Mapping[str, NDArray[np.float32]]:
    """Zeros, with which results have the shape that they will have."""
    classes = len(getattr(task, "labels", None) or ())
    shapes = combiner.learnt_shapes(need_blending(task).kind, len(recipe.member), classes)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _learn(
    sessions: Sequence[NetworkSession],
    task: Task,
    combiner: Combiner,
    recipe: EnsembleRecipe,
    training: Samples | None,
    progress: Progress,
) -> tuple[Mapping[str, NDArray[np.float32]], Answered | None]:
    """What the combiner has learnt, and what from."""
    if training is None or not combiner.learns:
        return {}, None
    module, _, function = combiner.teacher.partition(":")
    learn = getattr(import_module(module), function)
    with progress("learn to combine") as done:
        blendings = [need_blending(member.task) for member in sessions]
        taught = answer_all(sessions, blendings, training, "data.training", fps=recipe.data.fps)
        kind, labels = need_blending(task).kind, getattr(task, "labels", ())
        learnt: Mapping[str, NDArray[np.float32]] = learn(
            combiner, kind, taught.arrays, taught.truths, labels
        )
        done(f"{sum(array.size for array in learnt.values())} numbers, {taught.describe()}")
    return learnt, taught


def _score(
    session: EnsembleSession,
    recipe: EnsembleRecipe,
    samples: Samples,
    metrics: Sequence[Metric],
    taught: Answered | None,
    progress: Progress,
) -> tuple[Evaluation, Answered]:
    with progress("score ensemble and members") as done:
        evaluation, answered = score_ensemble(session, samples, metrics, fps=recipe.data.fps)
        if taught is not None:
            _check_apart(taught, answered)
        done(f"{evaluation.metric} {_values(evaluation)} on {answered.describe()}")
    budget = recipe.budget
    if budget is not None and budget.min_gain is not None:
        gained = gain(evaluation, metrics[0])
        if gained < budget.min_gain:
            rule = f"must be at least {budget.min_gain} better by {budget.metric}"
            error = BudgetError(
                f"budget.min_gain: {recipe.name!r} {rule} than its best member, got {gained:z.4f}"
            )
            error.reached = {"evaluation": evaluation.to_json()}
            raise error
    return evaluation, answered


def _values(evaluation: Evaluation) -> str:
    whole, *members = (f"{score.values[evaluation.metric]:.4f}" for score in evaluation.scores)
    return f"{whole}, members {', '.join(members)}"


def _check_apart(taught: Answered, scored: Answered) -> None:
    """Refuse evaluation data that the combiner has learnt from."""
    both = set(taught.digests) & set(scored.digests)
    if both:
        rule = "must have no picture in common with data.evaluation"
        raise DataError(f"data.training: {rule}, got {len(both)}")


def _pack(
    recipe: EnsembleRecipe,
    combiner: Combiner,
    members: Members,
    learnt: Mapping[str, NDArray[np.float32]],
    score: SourceRecord,
    path: Path,
    *,
    overwrite: bool,
) -> EnsembleBundle:
    contents: dict[str, bytes] = {}
    first: dict[bytes, str] = {}
    parts = []
    for index, (one, content) in enumerate(zip(members.opened, members.files, strict=True)):
        name = first.setdefault(content, f"parts/{index}.edgeprep")
        contents[name] = content
        table = recipe.member[index]
        parts.append(
            Part(
                name=one.bundle.manifest.name,
                bundle=name,
                weight=table.weight,
                prefer=table.prefer or "",
            )
        )
    records = []
    for name, array in learnt.items():
        spec = TensorSpec(name=name, shape=array.shape, dtype="float32")
        records.append(Learnt(array=spec, member=f"combine/{name}.bin"))
        contents[records[-1].member] = array.astype("<f4").tobytes()
    modules = ("numpy", *(("scikit-learn",) if learnt else ()))
    manifest = EnsembleManifest(
        name=recipe.name,
        created_with={
            "edgeprep": __version__,
            "python": platform.python_version(),
            **{module: version(module) for module in modules},
        },
        recipe_sha256=recipe.sha256,
        task=recipe.task,
        input=members.input,
        combine={**recipe.combine, "use": f"{combiner.name}@{combiner.version}"},
        parts=tuple(parts),
        learnt=tuple(records),
        score=score,
    )
    return write_ensemble(path, manifest, contents, overwrite=overwrite)
