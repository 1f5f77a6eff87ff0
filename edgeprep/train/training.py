"""One training from its parts: begun, or gone on with, in one process or in many."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch.multiprocessing.spawn import ProcessExitedException

from edgeprep.data import Progress, silent
from edgeprep.errors import (
    CheckpointError,
    EdgePrepError,
    OutputExists,
    RecipeError,
    TrainingError,
)
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.schema.foreign import name_fault
from edgeprep.train.checkpoint import Checkpoint, read_checkpoint
from edgeprep.train.data import TrainingData
from edgeprep.train.devices import fabric_in_silence, is_forked, seeded
from edgeprep.train.ema import MovingAverage
from edgeprep.train.files import CHECKPOINT, EPOCH, KEPT, STATE, UNFINISHED, WEIGHTS, remove_files
from edgeprep.train.history import Row
from edgeprep.train.learner import Learner
from edgeprep.train.loop import Loop
from edgeprep.train.made_from import differences, digests_of
from edgeprep.train.parameters import build_optimizer, freeze
from edgeprep.train.processes import first_fault, is_lost
from edgeprep.train.schedules import LearningRate
from edgeprep.train.snapshot import restore
from edgeprep.train.threads import threads_for, using_threads
from edgeprep.train.unroll import unrolled
from edgeprep.train.validation import Verdict
from edgeprep.train.watching import Watch, unwatched

__all__ = ["Outcome", "Training", "check_batch", "remedy_for", "train_on"]

_ANEW = "pass --overwrite (overwrite=True) to train anew, or name another directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What `fit` was asked for; see there.

    Attributes:
        otherwise: what is done where the storage holds a training of other settings, data or
            weights, or a damaged one.
        where: the path in the recipe of what trains, for messages.
        remedy: what helps where weights explode, for messages.
    """

    network: torch.nn.Module
    data: TrainingData
    settings: TrainTable
    storage: Path
    objective: Objective
    epochs: int
    learning_rate: float
    progress: Progress
    watch: Watch
    otherwise: Literal["begin anew", "refuse"]
    where: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training came to; its weights are in its storage."""

    rows: tuple[Row, ...]
    verdict: Verdict


class _Answer:
    """An outcome or an error on its way from another process, into which Fabric does not look."""

    def __init__(self, content: Outcome | EdgePrepError) -> None:
        self._content = content

    def outcome(self) -> Outcome:
        if isinstance(self._content, EdgePrepError):
            raise self._content
        return self._content


def train_on(fabric: Fabric, training: Training) -> Outcome:
    """Run `training` on the devices of `fabric`, and leave the best weights in its network.

    Where `fabric` starts this program again for each device, the network of those that it started
    is left as it is.

    Raises:
        EdgePrepError: as `fit`.
    """
    network, device = training.network, _device(training.network)
    dtypes = {name: tensor.dtype for name, tensor in _tensors(network)}
    check_batch(training.data, training.settings)
    try:
        with fabric_in_silence():
            finished: Outcome = fabric.launch(partial(_train, training=training)).outcome()
    except ProcessExitedException as error:
        raise _lost(training, error) from error
    if not fabric.is_global_zero:
        return finished
    # Fabric has moved the network, and "true" half precision has made another type of it.
    network.to(device)
    for name, tensor in _tensors(network):
        tensor.data = tensor.data.to(dtypes[name])
    network.load_state_dict(safetensors.torch.load_file(training.storage / WEIGHTS))
    network.eval().requires_grad_(requires_grad=False)
    return finished


def check_batch(data: TrainingData, settings: TrainTable) -> None:
    """Refuse batches that are larger than the training data.

    Raises:
        RecipeError: they are.
        DataError: the data cannot be used.
    """
    # Read now, in this process, and not in each one that forks from it.
    count = len(data.supply)
    if settings.batch > count:
        rule = f"must be at most the {count} pictures of {data.training.where}"
        raise RecipeError(f"train.batch: {rule}, got {settings.batch}")


def remedy_for(rate_key: str) -> str:
    """What helps where weights explode, by the recipe's keys."""
    return f"lower {rate_key}, or set train.clip_norm" if rate_key else "set train.clip_norm"


def _train(fabric: Fabric, training: Training) -> _Answer:
    """In one process of those that train."""
    try:
        with ExitStack() as inside:
            inside.enter_context(seeded(fabric.device))
            if is_forked(fabric):
                inside.enter_context(using_threads(1))
            loop = _prepare(fabric, training)
            inside.enter_context(using_threads(loop.threads))
            loop.run()
    except EdgePrepError as error:
        # As a value: of an exception that ends a forked process, only its text is left.
        return _Answer(first_fault(fabric, error))
    except RuntimeError as error:
        if not is_lost(fabric, error):
            raise
        return _Answer(first_fault(fabric, _lost(training, error)))
    return _Answer(Outcome(rows=tuple(loop.rows), verdict=loop.verdict))


def _lost(training: Training, error: Exception) -> TrainingError:
    rule = "every process must come to the end of the training"
    return TrainingError(f"{training.where}: {rule}, got {name_fault(error)}")


def _prepare(fabric: Fabric, training: Training) -> Loop:
    network, settings, data = training.network, training.settings, training.data
    made_from = digests_of(training)
    checkpoint = _resumable(fabric, training, made_from)
    frozen = freeze(network, settings)
    dtypes = {name: value.dtype for name, value in network.state_dict().items()}
    threads = _threads(fabric, training, checkpoint)
    learner = Learner(network, training.objective, frozen, data.states)
    optimizer = build_optimizer(network, learner.others, settings, rate=training.learning_rate)
    wrapped, wrapped_optimizer = fabric.setup(learner, optimizer)
    data.varied.graph.to(fabric.device)
    loop = Loop(
        fabric=fabric,
        learner=learner,
        wrapped=wrapped,
        optimizer=wrapped_optimizer,
        average=MovingAverage(network, settings.ema) if settings.ema is not None else None,
        data=data,
        settings=settings,
        rate=LearningRate(
            settings=settings,
            highest=training.learning_rate,
            epochs=training.epochs,
            steps=len(data.supply) // settings.batch,
        ),
        storage=training.storage,
        made_from=made_from,
        where=training.where,
        # Other settings have a training begin anew.
        remedy=training.remedy + (f"; then {_ANEW}" if training.otherwise == "refuse" else ""),
        threads=threads,
        dtypes=dtypes,
        progress=training.progress if fabric.is_global_zero else silent,
        watch=training.watch if fabric.is_global_zero else unwatched,
    )
    if checkpoint is not None:
        restore(loop, checkpoint)
    return loop


def _threads(fabric: Fabric, training: Training, checkpoint: Checkpoint | None) -> int:
    if is_forked(fabric):
        return 1
    if training.settings.threads is not None:
        return training.settings.threads
    if checkpoint is not None:
        # Whatever this process may use now: another number gives other roundings.
        return int(checkpoint.state["threads"])
    whole = unrolled(training.network.eval(), training.data.states)
    return threads_for(whole, training.data.example())


def _resumable(
    fabric: Fabric, training: Training, made_from: Mapping[str, str]
) -> Checkpoint | None:
    """The checkpoint to go on from; None where training begins."""
    found: Checkpoint | EdgePrepError | None = None
    if fabric.is_global_zero:
        try:
            found = _look(training, made_from)
        except EdgePrepError as error:
            found = error
    # A disk need not be shared by all machines, and none of them shall wait for one that failed.
    answer: Checkpoint | EdgePrepError | None = fabric.broadcast(found)
    if isinstance(answer, EdgePrepError):
        raise answer
    return answer


def _look(training: Training, made_from: Mapping[str, str]) -> Checkpoint | None:
    storage, refuse, reason = training.storage, training.otherwise == "refuse", ""
    remove_files(storage.glob(UNFINISHED), storage)
    try:
        checkpoint = _last(storage)
    except CheckpointError as error:
        if refuse:
            raise CheckpointError(f"{error}; {_ANEW}") from error
        checkpoint, reason = None, f"what was kept is damaged: {error}"
    if checkpoint is not None:
        differing = differences(checkpoint.made_from, made_from)
        if not differing:
            return checkpoint
        if refuse:
            raise OutputExists(f"{storage}: holds a training of other {differing}; {_ANEW}")
        reason = f"what was kept was made from other {differing}"
    if reason:
        with training.progress("begin anew") as done:
            done(reason)
    # What a person asked for stays until there is something new in its place.
    remove_files((storage / name for name in (STATE if refuse else KEPT)), storage)
    return None


def _last(storage: Path) -> Checkpoint | None:
    """The checkpoint that is further: of the end of an epoch, or of the middle of the next one."""
    end, middle = (read_checkpoint(storage / name) for name in (CHECKPOINT, EPOCH))
    # The process may have been killed when the epoch had ended, before the other one was removed.
    ahead = end is not None and middle is not None and middle.state["epoch"] == end.state["epoch"]
    return middle if ahead else end


def _device(network: torch.nn.Module) -> torch.device:
    return next((tensor.device for _, tensor in _tensors(network)), torch.device("cpu"))


def _tensors(network: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return chain(network.named_parameters(), network.named_buffers())
