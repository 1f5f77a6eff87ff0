"""What networks learn from and are chosen by: the recipe's training and validation data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.data import Prepared, check_clips, prepare_each, prepare_samples
from edgeprep.data.held import hold_samples
from edgeprep.data.preparing import Row
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric
from edgeprep.recipe import TrainTable
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import from_rgb
from edgeprep.tensors import TensorSpec
from edgeprep.train.augment import Augment
from edgeprep.train.drawn import Drawn
from edgeprep.train.overlap import Tested
from edgeprep.train.preparation import Preparation
from edgeprep.train.scoring import answers, in_eval_mode, score_answers
from edgeprep.train.split import Split
from edgeprep.train.supply import (
    Batch,
    Still,
    Supply,
    Varied,
    Varying,
    stack_clips,
    stack_labels,
    taught,
)
from edgeprep.train.unroll import through
from edgeprep.train.variation import Variation
from edgeprep.train.views import View, show

__all__ = ["TrainingData"]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The data of one recipe; pictures are read when they are first asked for.

    Attributes:
        task: what labels and outputs mean.
        plain: the preprocessing of pictures as they are.
        varied: that of pictures as `augment` leaves them.
        taken: what networks take of one picture, or of one clip where they take these.
        states: what they take after it.
        training: what is learned from.
        validation: what is chosen by; None where the recipe names none.
        metric: how a network is scored on `validation`; None where there is nothing to score by.
        augment: varies the pictures of `training`; None where none vary.
        settings: `[train]` of the recipe.
        fps: how many pictures were taken in a second.
        frames: where networks look in pictures as they are; None where the task does not ask.
        varied_frames: where they look in pictures as `augment` leaves them, likewise.
        tested: which pictures the evaluation data are, to warn of those that are learned from.
    """

    task: Task
    plain: Preparation
    varied: Preparation
    taken: TensorSpec
    states: tuple[TensorSpec, ...]
    training: Split
    validation: Split | None
    metric: Metric | None
    augment: Augment | None
    settings: TrainTable
    fps: float | None
    frames: Frames | None
    varied_frames: Frames | None
    tested: Tested

    @cached_property
    def supply(self) -> Supply:
        """The training pictures, as training takes them.

        Raises:
            DataError: they break a rule.
        """
        vary, where = None, self.training.where
        if self.augment is not None:
            vary = Variation(
                augment=self.augment, host=self.varied.host, where=where, frames=self.varied_frames
            )
        if self.training.changes:
            ahead = self.settings.workers > 0
            host, frames = self.varied.host, self.varied_frames
            return Drawn(
                self.training,
                host,
                vary,
                fps=self.fps,
                frames=frames,
                checked=self.checked,
                ahead=ahead,
            )
        if vary is not None:
            held = hold_samples(self.training.samples(0), where, self._check_sample)
            return Varied(held, vary, self.settings.workers)
        plain = self.varied is self.plain
        prepared = self._first if plain else self._prepare(self.training, self.varied)
        return Still(prepared=prepared, where=where)

    @cached_property
    def held_out(self) -> Prepared | None:
        """The validation pictures; None where the recipe names none."""
        return None if self.validation is None else self.prepare(self.validation)

    @property
    def labelled(self) -> bool:
        """Whether the training pictures have labels."""
        return self.training.labelled

    @property
    def takes_clips(self) -> bool:
        """Whether a sample is a clip."""
        return bool(self.states) or len(self.taken.shape) == 5

    def example(self) -> torch.Tensor:
        """Zeros, as a network of whole samples takes them; clips are as short as they can be."""
        shape = self.taken.shape
        return torch.zeros((1, 2, *shape[1:]) if self.states else shape)

    def batches(self, samples: int | None = None) -> Iterator[Batch]:
        """Training samples as the network takes them, without augmentation, in their order.

        Args:
            samples: at most so many, the first ones; None: all.

        Yields:
            What the preprocessing gives, float32, at most `train.batch` pictures; and the labels,
            as `Objective.loss` gets them, or None.
        """
        size, rows = self.settings.batch, self._rows()
        # A training may have taken it to its device.
        preprocessing = self.plain.graph.to("cpu")
        rest = iter(islice(rows, samples) if samples is not None else rows)
        while batch := list(islice(rest, size)):
            pictures, labels = zip(*batch, strict=True)
            with torch.no_grad():
                inputs = through(preprocessing, self.stacked(pictures))
            yield inputs, stack_labels(labels)

    def stacked(self, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Samples as `Prepared.picture` gives them, in one batch.

        Raises:
            DataError: they are clips, and not of one length.
        """
        if self.takes_clips:
            return stack_clips(pictures, self.training.where)
        return torch.from_numpy(np.concatenate(pictures))

    def showing(self, views: Sequence[View]) -> "TrainingData":
        """The same data for an objective that looks at pictures in other ways, too.

        Args:
            views: see `Objective.views`.

        Raises:
            RecipeError: the preprocessing looks at earlier pictures.
        """
        sample, _ = next(iter(self.training.samples(0)))
        picture = from_rgb(sample[-1] if self.takes_clips else sample, self.plain.host.input)
        if self.augment is not None:
            picture = self.augment(picture, 0)
        return replace(self, varied=show(self.varied, views, picture))

    def score(self, network: torch.nn.Module) -> float | None:
        """The recipe's metric on the validation data; None where it names none.

        Args:
            network: it is scored in eval mode, on the device on which it is.
        """
        if self.held_out is None:
            return None
        return self.score_on(network, self.held_out)

    def score_on(self, network: torch.nn.Module, samples: Prepared) -> float | None:
        """The recipe's metric on `samples`; None where the task cannot be scored.

        Args:
            network: it is scored in eval mode, on the device on which it is.
            samples: after the host's share of `plain`, with labels.
        """
        if self.metric is None:
            return None
        with in_eval_mode(network):
            chosen = range(len(samples))
            graph, batch, states = self.plain.graph, self.settings.batch, self.states
            outputs = answers(network, graph, samples, chosen, batch, states)
        return score_answers(outputs, samples, self.task, self.metric)

    def prepare(self, split: Split) -> Prepared:
        """All samples of `split`, after the host's share of `plain`.

        Raises:
            DataError: they break a rule.
        """
        return self._prepare(split, self.plain)

    def _rows(self) -> Iterator[Varying]:
        if self.varied is self.plain and not self.training.changes:
            first = self._first
            for index, label in enumerate(first.labels):
                yield first.picture(index), taught(label, first.frame(index))
            return
        samples, host, where = self.training.samples(0), self.plain.host, self.training.where
        rows = prepare_each(samples, host, where, fps=self.fps, frames=self.frames)
        for row in self.checked(rows, where):
            yield row.input, taught(row.label, row.frame)

    @cached_property
    def _first(self) -> Prepared:
        return self._prepare(self.training, self.plain)

    def _prepare(self, split: Split, preparation: Preparation) -> Prepared:
        prepared = prepare_samples(
            split.samples(0), preparation.host, split.where, fps=self.fps, frames=self.frames
        )
        check_clips(prepared, self._length, remembers=bool(self.states), where=split.where)
        return prepared

    def checked(self, rows: Iterable[Row], where: str) -> Iterator[Row]:
        """Each of `rows`, of the data `where`, where it is what networks take.

        Raises:
            DataError: one is a clip, or none, or of another length.
        """
        remembers = bool(self.states)
        for index, row in enumerate(rows):
            check_clips(row.alone, self._length, remembers=remembers, where=where, first=index)
            yield row

    def _check_sample(self, index: int, sample: NDArray[np.uint8]) -> None:
        """Refuse a training sample, as it was read, that is not what networks take."""
        is_clip = sample.ndim == 4
        rows = sample if is_clip else sample[np.newaxis]
        alone = Row(input=rows, label=None, digest=b"", is_clip=is_clip).alone
        remembers, where = bool(self.states), self.training.where
        check_clips(alone, self._length, remembers=remembers, where=where, first=index)

    @property
    def _length(self) -> int:
        """How many frames networks take at once."""
        # What a network of clips takes begins with the one clip.
        return self.taken.shape[1] if len(self.taken.shape) == 5 else 1
