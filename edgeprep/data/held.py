"""Pictures of any size as they were read, for random access."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import rows_on_disk
from edgeprep.data.samples import Samples

__all__ = ["Held", "hold_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Samples on the disk, not in memory.

    Attributes:
        content: `(bytes,)`, uint8, all pictures one after the other.
        places: of each picture the number of its first byte, and its shape.
        labels: one a sample; None where the data have none.
        digests: one a sample, equal where the pictures are.
    """

    content: NDArray[np.uint8]
    places: tuple[tuple[int, tuple[int, ...]], ...]
    labels: tuple[int | None, ...]
    digests: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """One picture, `(H, W, C)`, which is not to be written to."""
        start, shape = self.places[index]
        return self.content[start : start + int(np.prod(shape))].reshape(shape)


def hold_samples(samples: Samples) -> Held:
    """All pictures of `samples`, written to a temporary file.

    Raises:
        DataError: the data break a rule.
        StorageError: the file cannot be written.
    """
    places: list[tuple[int, tuple[int, ...]]] = []
    labels: list[int | None] = []
    digests: list[bytes] = []

    def contents() -> Iterator[NDArray[np.uint8]]:
        start = 0
        for picture, label in samples:
            places.append((start, picture.shape))
            labels.append(label)
            digests.append(digest_of(picture))
            start += picture.size
            yield np.ascontiguousarray(picture).reshape(-1)

    return Held(
        content=rows_on_disk(contents()),
        places=tuple(places),
        labels=tuple(labels),
        digests=tuple(digests),
    )
