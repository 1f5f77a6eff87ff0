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
from edgeprep.geometry import Frame
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import from_rgb
from edgeprep.schema import name_first
from edgeprep.stages.chain import Chain
from edgeprep.stages.stream import Stream
from edgeprep.truths import Truth, content_of

__all__ = ["Prepared", "Row", "prepare_each", "prepare_samples"]

_NAMED = 3  # so many unreadable pictures are named; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples after the host's share of one placement.

    Attributes:
        inputs: `(samples, H, W, C)`, uint8, what the graph takes; on the disk, not in memory.
        labels: what each sample is held against; None where the data have nothing.
        skipped: the names of the pictures that could not be read and were left out.
        digests: one a sample, equal where the pictures are, as they were before anything was done.
        frames: where the network looks, one a sample; () where the task does not ask.
    """

    inputs: NDArray[np.uint8]
    labels: tuple[Truth | None, ...]
    skipped: tuple[str, ...]
    digests: tuple[bytes, ...] = ()
    frames: tuple[Frame | None, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """One of all pictures and labels, in their order; "" where the pictures have none."""
        if not self.digests:
            return ""
        content = (*self.digests, *map(content_of, self.labels))
        return sha256(b"".join(content)).hexdigest()[:32]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """One graph input, `(1, H, W, C)`."""
        return self.inputs[index : index + 1]

    def some(self, indices: Sequence[int]) -> "Prepared":
        """Those at `indices`, in memory."""
        labels = tuple(self.labels[index] for index in indices)
        digests = tuple(self.digests[index] for index in indices) if self.digests else ()
        frames = tuple(self.frames[index] for index in indices) if self.frames else ()
        inputs = self.inputs[list(indices)]
        return replace(self, inputs=inputs, labels=labels, digests=digests, frames=frames)

    def frame(self, index: int) -> Frame | None:
        """Where the network looks in the sample; None where the task does not ask."""
        return self.frames[index] if self.frames else None

    def describe(self) -> str:
        """How many there are and how many were left out, for people."""
        if not self.skipped:
            return f"{len(self)} samples"
        named = name_first(_NAMED, self.skipped)
        return f"{len(self)} samples, {len(self.skipped)} unreadable left out: {named}"


def prepare_samples(
    samples: Samples,
    host: Chain,
    where: str,
    *,
    fps: float | None = None,
    frames: Frames | None = None,
) -> Prepared:
    """All samples, prepared by `host`, one after the other and on the disk.

    Args:
        samples: where stages look at earlier pictures, the frames of one film.
        host: the host's share of the preprocessing.
        where: the path of the data in the recipe, for messages.
        fps: how many were taken in a second; None: unknown.
        frames: of the whole chain; None where the task does not ask for them.

    Raises:
        DataError: the data break a rule, or a picture is not what the chain takes.
        StorageError: they cannot be written to temporary files.
    """
    labels: list[Truth | None] = []
    digests: list[bytes] = []
    places: list[Frame | None] = []

    def rows() -> Iterator[NDArray[np.uint8]]:
        for row in prepare_each(samples, host, where, fps=fps, frames=frames):
            labels.append(row.label)
            digests.append(row.digest)
            places.append(row.frame)
            yield row.input

    inputs = rows_on_disk(rows())
    return Prepared(
        inputs=inputs,
        labels=tuple(labels),
        skipped=tuple(one.name for one in samples.skipped),
        digests=tuple(digests),
        frames=tuple(places) if frames else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sample after the host's share.

    Attributes:
        input: `(1, H, W, C)`, uint8.
        label: see `Prepared.labels`.
        digest: see `Prepared.digests`.
        frame: see `Prepared.frames`.
    """

    input: NDArray[np.uint8]
    label: Truth | None
    digest: bytes
    frame: Frame | None = None


def prepare_each(
    samples: Iterable[Sample],
    host: Chain,
    where: str,
    *,
    fps: float | None = None,
    frames: Frames | None = None,
) -> Iterator[Row]:
    """Each sample as `host` prepares it.

    Raises:
        DataError: as `prepare_samples`.
    """
    stream = Stream(host)
    for index, (picture, label) in enumerate(samples):
        try:
            given = from_rgb(picture, host.input)
            prepared = stream.prepare(given, fps and index / fps)
        except InputError as error:
            raise DataError(f"{where}: sample {index}: {error}") from error
        if prepared is not None:
            frame = frames.of(given) if frames else None
            yield Row(input=prepared, label=label, digest=digest_of(picture), frame=frame)
