"""The training and validation data of a recipe, opened."""

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric, metric_for
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.tensors import TensorSpec
from edgeprep.train.augment import Augment
from edgeprep.train.data import TrainingData
from edgeprep.train.overlap import Tested
from edgeprep.train.preparation import Preparation
from edgeprep.train.recipe import build_augment
from edgeprep.train.split import open_split

__all__ = ["open_training"]


def open_training(recipe: Recipe, *, chain: Chain, task: Task, registry: Registry) -> TrainingData:
    """The training and validation data of `recipe`; nothing but a first sample is read yet.

    Args:
        recipe: its `[data]`, `[[augment]]`, `[train]` and `placement` are looked at.
        chain: its preprocessing.
        task: its task.
        registry: where augmentation stages are looked up.

    Raises:
        RecipeError: it names no training data, or a table is wrong.
        DataError: the data are not there.
    """
    training = open_split(recipe, "training", task)
    if training is None:
        remedy = "name the pictures that are learned from"
        raise RecipeError(f"data.training: required key is missing; {remedy}")
    if chain.output.batch != chain.input.batch:
        rule = "must make one picture of one, where a network learns"
        raise RecipeError(f"preprocess: {rule}, got {chain.output.batch}")
    shape = chain.output.shape()
    stages = build_augment(recipe.augment, chain=chain, registry=registry)
    if stages and chain.remembers:
        remedy = "leave [[augment]] out"
        raise RecipeError(
            f"augment: must be absent where preprocess looks at earlier pictures, got it; {remedy}"
        )
    image = recipe.input.image.replace(batch=1)
    augment = Augment(stages, seed=recipe.train.seed, input=image) if stages else None
    plain = varied = Preparation.of(chain, recipe.placement)
    frames = varied_frames = Frames.for_task(task, chain)
    if augment is not None:
        left = augment.output.replace(batch=chain.input.batch)
        leaving = Chain(input=left, stages=chain.stages)
        varied = Preparation.of(leaving, recipe.placement)
        varied_frames = Frames.for_task(task, leaving)
    validation = open_split(recipe, "validation", task)
    if recipe.train.patience is not None and validation is None:
        got, remedy = "none", "name pictures there, or leave patience out"
        raise RecipeError(
            f"train.patience: needs data.validation to be judged by, got {got}; {remedy}"
        )
    return TrainingData(
        task=task,
        plain=plain,
        varied=varied,
        taken=TensorSpec(
            name="preprocessed",
            shape=(1, *shape) if chain.input.batch > 1 else shape,
            dtype="float32",
        ),
        states=recipe.model.states,
        training=training,
        validation=validation,
        metric=_metric(recipe, task),
        augment=augment,
        settings=recipe.train,
        fps=recipe.data.fps,
        frames=frames,
        varied_frames=varied_frames,
        tested=Tested(recipe),
    )


def _metric(recipe: Recipe, task: Task) -> Metric | None:
    if recipe.budget is not None:
        return metric_for(task, recipe.budget.metric)
    return metric_for(task, task.metrics[0]) if task.metrics else None
