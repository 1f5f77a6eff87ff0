"""What is refused before an epoch is lost: networks and data that cannot teach a task."""

import numpy as np
import torch

from edgeprep.errors import InputError, RecipeError
from edgeprep.runtime.inputs import from_rgb
from edgeprep.tensors import TensorSpec
from edgeprep.train.data import TrainingData
from edgeprep.train.outputs import trace_outputs
from edgeprep.train.scoring import in_eval_mode

__all__ = ["check_learnable"]


def check_learnable(network: torch.nn.Module, data: TrainingData) -> None:
    """Refuse a network or data from which the task of `data` cannot be learned.

    Raises:
        RecipeError: outputs are not what the task needs, the network cannot take what the
            preprocessing gives, results have no place in pictures that are seen so, or there are
            no labels.
    """
    with in_eval_mode(network):
        outputs = trace_outputs(network, data.taken, data.states)
        outputs = outputs[: len(outputs) - len(data.states)]
        data.task.check_outputs(outputs)
    _check_places(data, outputs)
    if not data.labelled:
        rule = f"must have labels, which task {data.task.name!r} is learned from"
        raise RecipeError(f"{data.training.where}: {rule}, got pictures without")


def _check_places(data: TrainingData, outputs: tuple[TensorSpec, ...]) -> None:
    """Refuse what else would come up at the first score, when an epoch is over."""
    if data.frames is None:
        return
    image = data.plain.host.input
    if image.is_fixed:
        picture = np.zeros(image.replace(batch=1).shape()[1:], np.uint8)
    else:
        sample, _ = next(iter(data.training.samples(0)))
        picture = from_rgb(sample[-1] if data.takes_clips else sample, image)
    try:
        frame = data.frames.of(picture)
        data.task.decode(tuple(np.zeros(each.shape, each.dtype) for each in outputs), frame)
    except InputError as fault:
        raise RecipeError(str(fault)) from fault
