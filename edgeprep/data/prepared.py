"""Pictures as graphs take them: read once, prepared by the host's share of the chain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import rows_on_disk
from edgeprep.data.samples import Sample, Samples
from edgeprep.errors import DataError, InputError
from edgeprep.runtime.inputs import from_rgb
from edgeprep.schema import name_first
from edgeprep.stages.chain import Chain
from edgeprep.stages.stream import Stream

__all__ = ["Prepared", "prepare_each", "prepare_samples"]

_NAMED = 3  # so many unreadable pictures are named; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples after the host's share of one placement.

    Attributes:
        inputs: `(samples, H, W, C)`, uint8, what the graph takes; on the disk, not in memory.
        labels: one a sample; None where the data have none.
        skipped: the names of the pictures that could not be read and were left out.
        digests: one a sample, equal where the pictures are, as they were before anything was done.
    """

    inputs: NDArray[np.uint8]
    labels: tuple[int | None, ...]
    skipped: tuple[str, ...]
    digests: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """One of all pictures and labels, in their order; "" where the pictures have none."""
        if not self.digests:
            return ""
        return sha256(b"".join(self.digests) + repr(self.labels).encode()).hexdigest()[:32]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """One graph input, `(1, H, W, C)`."""
        return self.inputs[index : index + 1]

    def some(self, indices: Sequence[int]) -> "Prepared":
        """Those at `indices`, in memory."""
        labels = tuple(self.labels[index] for index in indices)
        digests = tuple(self.digests[index] for index in indices) if self.digests else ()
        inputs = self.inputs[list(indices)]
        return replace(self, inputs=inputs, labels=labels, digests=digests)

    def describe(self) -> str:
        """How many there are and how many were left out, for people."""
        if not self.skipped:
            return f"{len(self)} samples"
        named = name_first(_NAMED, self.skipped)
        return f"{len(self)} samples, {len(self.skipped)} unreadable left out: {named}"


def prepare_samples(
    samples: Samples, host: Chain, where: str, *, fps: float | None = None
) -> Prepared:
    """All samples, prepared by `host`, one after the other and on the disk.

    Args:
        samples: where stages look at earlier pictures, the frames of one film.
        host: the host's share of the preprocessing.
        where: the path of the data in the recipe, for messages.
        fps: how many were taken in a second; None: unknown.

    Raises:
        DataError: the data break a rule, or a picture is not what the chain takes.
        StorageError: they cannot be written to temporary files.
    """
    labels: list[int | None] = []
    digests: list[bytes] = []

    def rows() -> Iterator[NDArray[np.uint8]]:
        for row, label, digest in prepare_each(samples, host, where, fps=fps):
            labels.append(label)
            digests.append(digest)
            yield row

    inputs = rows_on_disk(rows())
    return Prepared(
        inputs=inputs,
        labels=tuple(labels),
        skipped=tuple(one.name for one in samples.skipped),
        digests=tuple(digests),
    )


def prepare_each(
    samples: Iterable[Sample], host: Chain, where: str, *, fps: float | None = None
) -> Iterator[tuple[NDArray[np.uint8], int | None, bytes]]:
    """Each sample as `host` prepares it, `(1, H, W, C)`, with its label and its digest.

    Raises:
        DataError: as `prepare_samples`.
    """
    stream = Stream(host)
    for index, (picture, label) in enumerate(samples):
        try:
            prepared = stream.prepare(from_rgb(picture, host.input), fps and index / fps)
        except InputError as error:
            raise DataError(f"{where}: sample {index}: {error}") from error
        if prepared is not None:
            yield prepared, label, digest_of(picture)
