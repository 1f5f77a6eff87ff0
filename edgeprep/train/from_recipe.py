"""`edgeprep train`: a recipe becomes weights."""

from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path

import torch

from edgeprep.data import Prepared, Progress, silent
from edgeprep.errors import RecipeError, UnknownName
from edgeprep.interfaces import Task
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.train.data import TrainingData
from edgeprep.train.learnable import check_learnable
from edgeprep.train.network import start_network
from edgeprep.train.objective import objective_for
from edgeprep.train.opening import open_training
from edgeprep.train.output import Trained, claim, finish, prepared
from edgeprep.train.parameters import check_patterns
from edgeprep.train.reading import read_data
from edgeprep.train.recipe import check_pictures
from edgeprep.train.split import open_split
from edgeprep.train.watching import Watch, unwatched

__all__ = ["train_recipe"]


def train_recipe(
    recipe: Recipe | str | PathLike[str],
    output: str | PathLike[str],
    *,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
) -> Trained | None:
    """Train the network that `recipe` describes, as its `[train]` says.

    A training that was ended in `output`, at any moment, goes on there and comes to the same
    weights. The evaluation data are scored once, at the end.

    Args:
        recipe: a recipe, or the path of its TOML file.
        output: the directory for weights, checkpoint, metrics and curve.
        overwrite: whether a training that is there already may be replaced.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every epoch.
        watch: is told of every step.

    Returns:
        What came out; None in a process that only helped another one.

    Raises:
        RecipeError: the recipe breaks a rule, or fits neither its network nor its data.
        CheckpointError: the weights to start from do not fit, or what is in `output` is damaged.
        DataError: the data cannot be used.
        TrainingError: the loss is NaN or infinite, or memory does not suffice; the message says
            where, and what is kept in `output`.
        OutputExists: a training was finished in `output`, or one of other settings, data or
            weights is under way there.
        StorageError: a file cannot be read or written, or another training is under way in
            `output`.
    """
    # Here, as Fabric takes a second to import, which no other user of this room shall wait for.
    from edgeprep.train.devices import children_of, open_fabric
    from edgeprep.train.training import Training, check_batch, remedy_for, train_on

    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    registry = registry or default_registry()
    directory = Path(output)
    claim(directory, recipe.train, overwrite=overwrite)
    chain = Chain.of_recipe(recipe, registry)
    task = _task(recipe, registry)
    check_pictures(task, recipe)
    objective = objective_for(task, recipe.train)
    settings = recipe.train
    fabric = open_fabric(settings)
    if not fabric.is_global_zero:
        progress, watch = silent, unwatched
    with closing(chain), ExitStack() as inside:
        data = open_training(recipe, chain=chain, task=task, registry=registry)
        network = _start(recipe, progress)
        check_learnable(network, data)
        check_patterns(network, settings)
        tested = _evaluation(recipe, data)
        if tested is not None:
            # They are read now, and need not be a second time.
            data.tested.digests = tested.digests
        warnings = read_data(data, progress)
        check_batch(data, settings)
        training = Training(
            network=network,
            data=data,
            settings=settings,
            storage=directory,
            objective=objective,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            progress=progress,
            watch=watch,
            otherwise="refuse",
            where="train",
            remedy=remedy_for("train.learning_rate"),
        )
        if fabric.is_global_zero:
            inside.enter_context(prepared(directory, overwrite=overwrite))
        with children_of(fabric):
            outcome = train_on(fabric, training)
        if not fabric.is_global_zero:
            return None
        score = None
        if tested is not None:
            score = _score(network.to(fabric.device), data, tested, progress)
        trained = Trained(
            directory=directory,
            epochs=len(outcome.rows),
            best=outcome.verdict.epoch,
            metric="" if data.metric is None else data.metric.name,
            validation=outcome.verdict.score,
            evaluation=score,
            warnings=warnings,
        )
        finish(trained, outcome.rows)
    return trained


def _task(recipe: Recipe, registry: Registry) -> Task:
    try:
        cls = registry.get("task", str(recipe.task["use"]))
    except UnknownName as error:
        raise RecipeError(f"task.use: {error}") from error
    options = {name: value for name, value in recipe.task.items() if name != "use"}
    task: Task = build(cls, options, "task")
    return task


def _start(recipe: Recipe, progress: Progress) -> torch.nn.Module:
    model, weights = recipe.model, recipe.train.weights
    with progress("start from") as done:
        network = start_network(model, weights, recipe.directory, seed=recipe.train.seed)
        said = "the weights that model.factory makes"
        if weights is not None:
            said = f"{weights!r} of train.weights"
        elif model.weights is not None:
            said += f"; name {model.weights!r} of model.weights in train.weights to start from it"
        done(said)
    return network


def _evaluation(recipe: Recipe, data: TrainingData) -> Prepared | None:
    """The evaluation data; None where the recipe names none."""
    split = open_split(recipe, "evaluation", data.task)
    if split is None:
        return None
    return data.prepare(split)


def _score(
    network: torch.nn.Module, data: TrainingData, tested: Prepared, progress: Progress
) -> float | None:
    if data.metric is None:
        return None
    with progress("score the best weights on the evaluation data") as done:
        score = data.score_on(network, tested)
        done(f"{data.metric.name} {score:.4f} on {tested.describe()}")
    return score
