"""Where the pictures of a training come from, epoch by epoch, in any order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from edgeprep.data import Prepared
from edgeprep.data.held import Held
from edgeprep.runtime.inputs import from_rgb
from edgeprep.stages.chain import Chain
from edgeprep.train.augment import Augment

__all__ = ["Batch", "Labels", "Still", "Supply", "Varied", "as_tensors"]

Batch = tuple[torch.Tensor, torch.Tensor | None]
Labels = tuple[int | None, ...]
Indices = NDArray[np.int64]


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

    @abstractmethod
    def batches(self, epoch: int, chosen: Sequence[Indices]) -> Iterator[Batch]:
        """The pictures of `epoch` with the numbers `chosen`, batch by batch.

        Yields:
            `(N, H, W, C)`, uint8, what the graph takes; and the labels, `(N,)`, int64, or None.
        """

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Still(Supply):
    """The same pictures in every epoch."""

    prepared: Prepared

    @property
    def labels(self) -> Labels:
        """See `Supply.labels`."""
        return self.prepared.labels

    @property
    def digests(self) -> tuple[bytes, ...]:
        """See `Supply.digests`."""
        return self.prepared.digests

    def batches(self, epoch: int, chosen: Sequence[Indices]) -> Iterator[Batch]:
        """See `Supply.batches`."""
        for indices in chosen:
            yield as_tensors(self.prepared, indices)


class Varied(Supply):
    """The same pictures, but each of them varied anew in every epoch.

    Args:
        held: the pictures.
        augment: varies them.
        host: the host's share of the preprocessing, for what `augment` leaves.
        workers: how many processes do so; 0: this one.
    """

    def __init__(self, held: Held, augment: Augment, host: Chain, workers: int) -> None:
        self._held = held
        self._pictures = _VariedPictures(held, augment, host)
        self._workers = workers

    @property
    def labels(self) -> Labels:
        """See `Supply.labels`."""
        return self._held.labels

    @property
    def digests(self) -> tuple[bytes, ...]:
        """See `Supply.digests`."""
        return self._held.digests

    def batches(self, epoch: int, chosen: Sequence[Indices]) -> Iterator[Batch]:
        """See `Supply.batches`."""
        self._pictures.augment.set_epoch(epoch)
        yield from DataLoader(
            self._pictures,
            batch_sampler=[indices.tolist() for indices in chosen],
            num_workers=self._workers,
            collate_fn=_collate,
            # NOTE: a factory's module has a private name, which a fresh process could not import.
            multiprocessing_context="fork" if self._workers else None,
        )


@dataclass(frozen=True, slots=True)
class _VariedPictures(Dataset[tuple[NDArray[np.uint8], int | None]]):
    held: Held
    augment: Augment
    host: Chain

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int | None]:
        picture = from_rgb(self.held[index], self.augment.input)
        return self.host.prepare(self.augment(picture, index)), self.held.labels[index]


def as_tensors(prepared: Prepared, indices: Indices) -> Batch:
    """The samples of `prepared` with the numbers `indices`, for torch."""
    labels = [prepared.labels[index] for index in indices.tolist()]
    return torch.from_numpy(prepared.inputs[indices]), _labels(labels)


def _collate(samples: Sequence[tuple[NDArray[np.uint8], int | None]]) -> Batch:
    pictures, labels = zip(*samples, strict=True)
    return torch.from_numpy(np.concatenate(pictures)), _labels(labels)


def _labels(labels: Sequence[int | None]) -> torch.Tensor | None:
    return None if None in labels else torch.tensor(labels)
