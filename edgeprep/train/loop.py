"""The loop: epochs of steps, each of which can be the last one that a process lives through."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from lightning_fabric import Fabric

from edgeprep.data import Progress
from edgeprep.errors import EdgePrepError, RecipeError, TrainingError
from edgeprep.recipe import TrainTable
from edgeprep.schema.foreign import name_fault
from edgeprep.train.checkpoint import write_checkpoint, write_weights
from edgeprep.train.data import TrainingData
from edgeprep.train.ema import MovingAverage
from edgeprep.train.files import CHECKPOINT, EPOCH, WEIGHTS, remove_files
from edgeprep.train.history import Row, write_history
from edgeprep.train.learner import Learner
from edgeprep.train.parameters import set_rate
from edgeprep.train.processes import is_lost, share_buffers
from edgeprep.train.schedules import LearningRate
from edgeprep.train.seeds import order_of, seed_of
from edgeprep.train.snapshot import snapshot
from edgeprep.train.stopping import stop_between_steps
from edgeprep.train.supply import Batch
from edgeprep.train.unroll import through
from edgeprep.train.validation import Verdict, validate
from edgeprep.train.watching import Tick, Watch

__all__ = ["Loop"]


@dataclass(kw_only=True)
class Loop:
    """One training under way.

    Attributes:
        fabric: launched.
        learner: the network and what learns along, on the device.
        wrapped: the same as Fabric wraps it.
        optimizer: as Fabric wraps it.
        average: of the weights; None where they are kept as they are.
        data: what is learned from and chosen by.
        settings: `[train]`.
        rate: the learning rate of every step.
        storage: where files are kept.
        made_from: see `Checkpoint.made_from`.
        where: the path in the recipe of what trains, for messages.
        remedy: what helps where weights explode, for messages.
        threads: how many torch computes with.
        dtypes: of the weights, as the network came.
        progress: is told of epochs.
        watch: is told of steps.
    """

    fabric: Fabric
    learner: Learner
    wrapped: Any
    optimizer: Any
    average: MovingAverage | None
    data: TrainingData
    settings: TrainTable
    rate: LearningRate
    storage: Path
    made_from: Mapping[str, str]
    where: str
    remedy: str
    threads: int
    dtypes: Mapping[str, torch.dtype]
    progress: Progress
    watch: Watch
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    since: float = 0.0
    rows: list[Row] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def finished(self) -> bool:
        """Whether there is no more epoch to come."""
        patience = self.settings.patience
        return self.epoch == self.rate.epochs or (
            patience is not None and self.verdict.stale >= patience
        )

    def run(self) -> None:
        """All epochs that are still to come.

        Raises:
            TrainingError: the loss is no number any more, or memory does not suffice.
            RecipeError: the network fails on a picture.
            StorageError: a file cannot be written.
        """
        if not self.epoch and not self.step:
            self._save()
        with closing(self.data.supply):
            while not self.finished:
                with self.progress(f"epoch {self.epoch + 1} of {self.rate.epochs}") as done:
                    row = self._epoch()
                    done(row.describe())
        if self.epoch < self.rate.epochs:
            with self.progress("stop early") as done:
                done(f"no better for {self.verdict.stale} epochs; epoch {self.verdict.epoch} kept")

    def _epoch(self) -> Row:
        self.since = monotonic()
        self.learner.train()
        upcoming = self.epoch + 1 if self.epoch + 1 < self.rate.epochs else None
        batches = self.data.supply.batches(self.epoch, self._shares(), upcoming=upcoming)
        with closing(batches), stop_between_steps(self._save_step) as stop:  # type: ignore[type-var]
            for batch in batches:
                self._step(batch)
                stop()
                if monotonic() - self.since > self.settings.save_minutes * 60:
                    self._save_step()
        self._check_weights()
        score = validate(self.fabric, self.learner.network, self.average, self.data)
        self._count_seconds()
        row = Row(
            epoch=self.epoch + 1,
            loss=self.loss / self.rate.steps,
            learning_rate=self._rate(self.rate.steps - 1),
            scores=score,
            seconds=self.seconds,
        )
        self._end_of_epoch(row)
        return row

    def _shares(self) -> list[Any]:
        """The numbers of the pictures of each step that is to come, for this process."""
        size, world, rank = self.settings.batch, self.fabric.world_size, self.fabric.global_rank
        order = order_of(len(self.data.supply), seed=self.settings.seed, epoch=self.epoch)
        starts = range(self.step * size, self.rate.steps * size, size)
        return [order[start : start + size][rank::world] for start in starts]

    def _rate(self, step: int) -> float:
        return self.rate.at(self.epoch * self.rate.steps + step)

    def _step(self, batch: Batch) -> None:
        seed, rank = self.settings.seed, self.fabric.global_rank
        torch.manual_seed(seed_of(seed=seed, epoch=self.epoch, step=self.step, rank=rank))
        set_rate(self.optimizer, self._rate(self.step))
        with self._explained():
            loss = self._learn(batch)
        if not isfinite(loss):
            raise self._fault(self.step, "the loss must be finite", f"{loss}")
        if self.average is not None:
            step = self.epoch * self.rate.steps + self.step
            self.average.update(self.learner.network, step)
        self.loss += loss
        self.step += 1
        self.watch(
            Tick(
                epoch=self.epoch + 1,
                epochs=self.rate.epochs,
                step=self.step,
                steps=self.rate.steps,
                loss=loss,
            )
        )

    def _learn(self, batch: Batch) -> float:
        """One step of the optimizer; the loss before it, over all processes."""
        pictures, labels = self.fabric.to_device(batch)
        with torch.no_grad():
            inputs = through(self.data.varied.graph, pictures)
        loss = self.wrapped(inputs, labels)
        self.fabric.backward(loss)
        if self.settings.clip_norm is not None:
            # What is not finite shows in the next loss; half precision leaves such a step out.
            self.fabric.clip_gradients(
                self.wrapped,
                self.optimizer,
                max_norm=self.settings.clip_norm,
                error_if_nonfinite=False,
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        share_buffers(self.fabric, self.learner)
        mean: Any = self.fabric.all_reduce(loss.detach(), reduce_op="mean")
        return float(mean)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Inside, the user's network may raise anything."""
        try:
            yield
        except EdgePrepError:
            raise
        except (Exception, SystemExit) as error:
            if is_lost(self.fabric, error):
                raise
            if _is_memory(error):
                remedy = "a smaller train.batch needs less"
                raise TrainingError(
                    f"{self.where}: {self._place(self.step)} must fit into memory, got "
                    f"{name_fault(error)}; {remedy}"
                ) from error
            raise RecipeError(
                "model.factory: the network must learn from every picture of the data, "
                f"got {name_fault(error)}"
            ) from error

    def _place(self, step: int) -> str:
        return f"epoch {self.epoch + 1}, step {step + 1}"

    def _fault(self, step: int, rule: str, got: str) -> TrainingError:
        """An error of `step` of this epoch, from 0, before which weights went wrong.

        What was kept since the epoch began is no good, and goes.
        """
        self._end_of_steps()
        place, rate = self._place(step), f"{self._rate(step):.3g}"
        best = f"{str(self.storage / WEIGHTS)!r} has the best weights before, of epoch "
        kept = (
            f"{best}{self.verdict.epoch}"
            if self.rows
            else "no epoch has ended, so that no weights are kept"
        )
        return TrainingError(
            f"{self.where}: {place}: {rule}, got {got} at learning rate {rate}; {kept}; "
            f"{self.remedy}"
        )

    def _end_of_epoch(self, row: Row) -> None:
        self.verdict = self.verdict.after(row, self.data.metric)
        self.rows.append(row)
        self.epoch, self.step, self.loss, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        if self.fabric.is_global_zero:
            if self.verdict.epoch == row.epoch:
                write_weights(self.storage / WEIGHTS, self._kept())
            write_history(self.storage, self.rows)
        self._save()
        self._end_of_steps()

    def _kept(self) -> dict[str, torch.Tensor]:
        """The weights that are scored, in the precision in which they came."""
        network = self.learner.network
        weights = network.state_dict() if self.average is None else self.average.weights
        return {name: value.to(self.dtypes[name]) for name, value in weights.items()}

    def _broken(self) -> str | None:
        """The first parameter that learned to be NaN or infinite; None where all is well."""
        return next(
            (
                name.removeprefix("network.")
                for name, parameter in self.learner.named_parameters()
                if parameter.requires_grad and not bool(torch.isfinite(parameter).all())
            ),
            None,
        )

    def _check_weights(self) -> None:
        if (name := self._broken()) is not None:
            got = f"NaN or infinity in {name!r}"
            raise self._fault(self.step - 1, "the weights must be finite", got)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            write_checkpoint(self.storage / CHECKPOINT, snapshot(self))

    def _save_step(self) -> None:
        self._count_seconds()
        # What is broken is not kept; the next loss, or the end of the epoch, will say so.
        if self.fabric.is_global_zero and self._broken() is None:
            write_checkpoint(self.storage / EPOCH, snapshot(self))

    def _count_seconds(self) -> None:
        now = monotonic()
        self.seconds, self.since = self.seconds + now - self.since, now

    def _end_of_steps(self) -> None:
        if self.fabric.is_global_zero:
            remove_files([self.storage / EPOCH], self.storage)


def _is_memory(error: BaseException) -> bool:
    # The allocator of the CPU raises a plain RuntimeError.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "DefaultCPUAllocator" in str(error)
