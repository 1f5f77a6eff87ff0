"""Pictures of any size as they are read, for random access."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import rows_on_disk
from edgeprep.data.samples import Samples
from edgeprep.errors import DataError, InputError, StorageError
from edgeprep.truths import Truth

__all__ = ["Held", "hold_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(ABC):
    """Samples that are on the disk, and not in memory.

    Attributes:
        labels: one a sample; None where the data have none.
        digests: one a sample, equal where the pictures are.
        skipped: the names of the pictures that could not be read and were left out.
    """

    labels: tuple[Truth | None, ...]
    digests: tuple[bytes, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """One picture, `(H, W, C)`, which is not to be written to.

        Raises:
            DataError: it cannot be read any more.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written(Held):
    """`content` has all pictures; `places` where each begins, and its shape."""

    content: NDArray[np.uint8]
    places: tuple[tuple[int, tuple[int, ...]], ...]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        start, shape = self.places[index]
        return self.content[start : start + int(np.prod(shape))].reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reread(Held):
    """Every picture is read when it is asked for."""

    read: Callable[[int], NDArray[np.uint8]]
    places: tuple[int, ...]
    where: str

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        try:
            return self.read(self.places[index])
        except (InputError, StorageError) as error:
            rule = f"sample {index} must be there as long as it is learned from"
            raise DataError(f"{self.where}: {rule}, got {str(error)!r}") from error


def hold_samples(
    samples: Samples, where: str, check: Callable[[int, NDArray[np.uint8]], None] | None = None
) -> Held:
    """All pictures of `samples`, each read once now.

    Those that can be read one by one are read again when they are asked for; a copy of the others
    is written to a temporary file.

    Args:
        samples: to be held.
        where: the path of the data in the recipe, for messages.
        check: is given the number of each sample and its picture, and may raise.

    Raises:
        DataError: the data break a rule.
        StorageError: the file cannot be written.
    """
    if samples.reread is None:
        return _write(samples, check)
    labels, digests, places = [], [], []
    for index, (picture, label) in enumerate(samples):
        if check is not None:
            check(index, picture)
        labels.append(label)
        digests.append(digest_of(picture))
        places.append(samples.place)
    return _Reread(
        read=samples.reread,
        places=tuple(places),
        where=where,
        labels=tuple(labels),
        digests=tuple(digests),
        skipped=tuple(one.name for one in samples.skipped),
    )


def _write(samples: Samples, check: Callable[[int, NDArray[np.uint8]], None] | None) -> Held:
    places: list[tuple[int, tuple[int, ...]]] = []
    labels: list[Truth | None] = []
    digests: list[bytes] = []

    def contents() -> Iterator[NDArray[np.uint8]]:
        start = 0
        for index, (picture, label) in enumerate(samples):
            if check is not None:
                check(index, picture)
            places.append((start, picture.shape))
            labels.append(label)
            digests.append(digest_of(picture))
            start += picture.size
            yield np.ascontiguousarray(picture).reshape(-1)

    content = rows_on_disk(contents())
    return _Written(
        content=content,
        skipped=tuple(one.name for one in samples.skipped),
        places=tuple(places),
        labels=tuple(labels),
        digests=tuple(digests),
    )
