"""Where the pictures of a training come from, epoch by epoch, in any order."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from edgeprep.data import Prepared
from edgeprep.data.held import Held
from edgeprep.errors import DataError, EdgePrepError
from edgeprep.geometry import Frame
from edgeprep.train.variation import Variation
from edgeprep.truths import Truth, as_seen

__all__ = [
    "Batch",
    "Labels",
    "Still",
    "Supply",
    "Varied",
    "Varying",
    "as_tensors",
    "in_batches",
    "stack_clips",
    "stack_labels",
    "taught",
]

Batch = tuple[torch.Tensor, torch.Tensor | None]
Labels = tuple[Truth | None, ...]
Indices = NDArray[np.int64]
Sample = TypeVar("Sample")
# What the graph takes, and what is taught of it.
Varying = tuple[NDArray[np.uint8], NDArray[Any] | None]


class Supply(ABC):
    """The training pictures after the host's share of the preprocessing."""

    @property
    @abstractmethod
    def labels(self) -> Labels:
        """Those of the first epoch, one a picture."""

    @property
    @abstractmethod
    def digests(self) -> tuple[bytes, ...]:
        """Those of the first epoch, one a picture."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of the pictures that could not be read and were left out."""
        return ()

    @abstractmethod
    def batches(
        self, epoch: int, chosen: Sequence[Indices], *, upcoming: int | None = None
    ) -> Iterator[Batch]:
        """The pictures of `epoch` with the numbers `chosen`, batch by batch.

        Args:
            epoch: from 0.
            chosen: of each batch.
            upcoming: the epoch that is asked for next; None: no other.

        Yields:
            `(N, H, W, C)`, of clips `(N, frames, H, W, C)`, uint8, what the graph takes; and the
            labels, as `Objective.loss` gets them, or None.
        """

    def close(self) -> None:  # noqa: B027 -- most have nothing to end
        """End what goes on in other processes. Calling it again does nothing."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Still(Supply):
    """The same pictures in every epoch.

    Attributes:
        prepared: the pictures.
        where: the path of the data in the recipe, for messages.
    """

    prepared: Prepared
    where: str

    @property
    def labels(self) -> Labels:
        """See `Supply.labels`."""
        return self.prepared.labels

    @property
    def digests(self) -> tuple[bytes, ...]:
        """See `Supply.digests`."""
        return self.prepared.digests

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `Supply.skipped`."""
        return self.prepared.skipped

    def batches(
        self, epoch: int, chosen: Sequence[Indices], *, upcoming: int | None = None
    ) -> Iterator[Batch]:
        """See `Supply.batches`."""
        for indices in chosen:
            yield as_tensors(self.prepared, indices, self.where)


class Varied(Supply):
    """The same pictures, but each of them varied anew in every epoch.

    Args:
        held: the pictures.
        vary: what is done to each.
        workers: how many processes do so; 0: this one.
    """

    def __init__(self, held: Held, vary: Variation, workers: int) -> None:
        self._pictures = _VariedPictures(held, vary)
        self._workers = workers

    @property
    def labels(self) -> Labels:
        """See `Supply.labels`."""
        return self._pictures.held.labels

    @property
    def digests(self) -> tuple[bytes, ...]:
        """See `Supply.digests`."""
        return self._pictures.held.digests

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `Supply.skipped`."""
        return self._pictures.held.skipped

    def batches(
        self, epoch: int, chosen: Sequence[Indices], *, upcoming: int | None = None
    ) -> Iterator[Batch]:
        """See `Supply.batches`."""
        self._pictures.vary.augment.set_epoch(epoch)
        loader = DataLoader(
            self._pictures,
            batch_sampler=[indices.tolist() for indices in chosen],
            num_workers=self._workers,
            collate_fn=partial(_collate, self._pictures.vary.where),
            # NOTE: a factory's module has a private name, which a fresh process could not import.
            multiprocessing_context="fork" if self._workers else None,
        )
        for batch in loader:
            if isinstance(batch, EdgePrepError):
                raise batch
            yield batch


@dataclass(frozen=True, slots=True)
class _VariedPictures(Dataset[Varying | EdgePrepError]):
    held: Held
    vary: Variation

    def __getitem__(self, index: int) -> Varying | EdgePrepError:
        try:
            row, frame = self.vary(self.held[index], index)
            return row, taught(self.held.labels[index], frame)
        except EdgePrepError as error:
            # As a value: what a worker raises comes with its traceback in the message.
            return error


def as_tensors(prepared: Prepared, indices: Indices, where: str = "data") -> Batch:
    """The samples of `prepared` with the numbers `indices`, for torch; `where` for messages."""
    rows = [taught(prepared.labels[index], prepared.frame(index)) for index in indices.tolist()]
    if not prepared.starts:
        return torch.from_numpy(prepared.inputs[indices]), stack_labels(rows)
    clips = [prepared.picture(index) for index in indices.tolist()]
    return stack_clips(clips, where), stack_labels(rows)


def stack_clips(clips: Sequence[NDArray[np.uint8]], where: str) -> torch.Tensor:
    """`(N, frames, H, W, C)` of clips `(frames, H, W, C)` of the data `where`.

    Raises:
        DataError: they are not of one length.
    """
    _check_equal(clips, where)
    return torch.from_numpy(np.stack(clips))


def _check_equal(clips: Sequence[NDArray[np.uint8]], where: str) -> None:
    lengths = sorted({clip.shape[-4] for clip in clips})
    if len(lengths) > 1:
        rule = "clips of one batch must have the same number of frames"
        remedy = "let the reader cut them, or set train.batch = 1"
        raise DataError(f"{where}: {rule}, got {lengths[0]} and {lengths[-1]}; {remedy}")


def _collate(where: str, samples: Sequence[Varying | EdgePrepError]) -> Batch | EdgePrepError:
    for sample in samples:
        if isinstance(sample, EdgePrepError):
            return sample
    pictures, labels = zip(*samples, strict=True)
    if pictures[0].ndim == 5:
        try:
            _check_equal(pictures, where)
        except DataError as error:
            return error
    return torch.from_numpy(np.concatenate(pictures)), stack_labels(labels)


def in_batches(
    samples: Iterable[Sample], most: int, length: Callable[[Sample], int]
) -> Iterator[list[Sample]]:
    """At most so many of `samples` at a time, one after the other and all of one `length`."""
    batch: list[Sample] = []
    for sample in samples:
        if batch and (len(batch) == most or length(sample) != length(batch[0])):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def stack_labels(labels: Sequence[NDArray[Any] | None]) -> torch.Tensor | None:
    """The labels of a batch, as `Objective.loss` gets them; None where one has none."""
    known = [label for label in labels if label is not None]
    if len(known) < len(labels):
        return None
    # Boxes alone are of several shapes: those that are missing are of class -1.
    if len({label.shape for label in known}) > 1:
        most = max(map(len, known))
        known = [_filled(label, most) for label in known]
    return torch.from_numpy(np.stack(known))


def _filled(boxes: NDArray[Any], rows: int) -> NDArray[Any]:
    filled = np.full((rows, *boxes.shape[1:]), -1, boxes.dtype)
    filled[: len(boxes)] = boxes
    return filled


def taught(label: Truth | None, frame: Frame | None) -> NDArray[Any] | None:
    """What is taught of `label` where the network looks as `frame` says; None: nothing."""
    return None if label is None else as_seen(label, frame)
