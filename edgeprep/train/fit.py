"""Training one network, whoever asks for it."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from edgeprep.data import Progress, silent
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.train.data import TrainingData
from edgeprep.train.history import Row
from edgeprep.train.learnable import check_learnable
from edgeprep.train.objective import objective_for
from edgeprep.train.reading import read_data
from edgeprep.train.watching import Watch, unwatched

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A network that has learned.

    Attributes:
        network: that which was given, with the weights of its best epoch, in eval mode.
        history: what each epoch came to.
        best: the score of that epoch on the validation data; None where there is none.
        epoch: its number, from 1.
    """

    network: torch.nn.Module
    history: tuple[Row, ...]
    best: float | None
    epoch: int


def fit(
    network: torch.nn.Module,
    data: TrainingData,
    settings: TrainTable,
    *,
    storage: Path,
    objective: Objective | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
    where: str = "train",
    rate_key: str = "train.learning_rate",
) -> Fitted:
    """Train `network` on `data` as `settings` say.

    A training that was ended in `storage`, at any moment, goes on there and comes to the same
    weights: on a CPU bit for bit, and on a GPU of the same kind but for operations that torch warns
    of. One of other settings, data or weights is begun anew, as is a damaged one.

    Args:
        network: it is changed in its place; all its parameters learn but those that `settings`
            freeze.
        data: of `open_training`.
        settings: `[train]`.
        storage: an existing directory for the checkpoint, the best weights and the metrics.
        objective: what is made small; None: the task's own loss.
        epochs: how often the training data are gone through; None: as in `settings`.
        learning_rate: the highest one; None: that of `settings`.
        progress: is told of every epoch.
        watch: is told of every step.
        where: the path in the recipe of what trains, for messages.
        rate_key: the path of the learning rate, for messages; "" where no key has it.

    Raises:
        RecipeError: `epochs` is below 1, the settings do not fit the network or the data, the task
            has no objective, or the network fails.
        DataError: the data cannot be used.
        TrainingError: the loss is NaN or infinite, or memory does not suffice; the message says
            where, and what is kept in `storage`.
        StorageError: a file cannot be written, or another training is under way in `storage`.
    """
    # Here, as Fabric takes a second to import, and a recipe with a fault need not wait for it.
    from edgeprep.alone import alone_in
    from edgeprep.train.devices import check_forks, open_fabric
    from edgeprep.train.training import Training, remedy_for, train_on

    if epochs is not None and epochs < 1:
        raise RecipeError(f"{where}.epochs: must be at least 1, got {epochs!r}")
    if objective is None:
        objective = objective_for(data.task, settings)
        check_learnable(network, data)
    if views := objective.views():
        data = data.showing(views)
    read_data(data, progress)
    training = Training(
        network=network,
        data=data,
        settings=settings,
        storage=storage,
        objective=objective,
        epochs=settings.epochs if epochs is None else epochs,
        learning_rate=settings.learning_rate if learning_rate is None else learning_rate,
        progress=progress,
        watch=watch,
        otherwise="begin anew",
        where=where,
        remedy=remedy_for(rate_key),
    )
    fabric = open_fabric(settings)
    check_forks(fabric, settings)
    with alone_in(storage, "training") if fabric.is_global_zero else nullcontext():
        outcome = train_on(fabric, training)
    return Fitted(
        network=network,
        history=outcome.rows,
        best=outcome.verdict.score,
        epoch=outcome.verdict.epoch,
    )
