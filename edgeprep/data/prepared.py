"""Pictures as graphs take them: read once, prepared by the host's share of the chain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import rows_on_disk
from edgeprep.data.samples import Sample, Samples
from edgeprep.errors import DataError, InputError
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.interfaces import Tiling
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.mosaic import Mosaic
from edgeprep.schema import name_first
from edgeprep.stages.chain import Chain
from edgeprep.stages.stream import Stream
from edgeprep.truths import Truth, content_of

__all__ = [
    "Prepared",
    "Row",
    "check_clips",
    "describe_count",
    "prepare_each",
    "prepare_samples",
    "warning_of_skipped",
]

Outputs = tuple[NDArray[Any], ...]

_NAMED = 3  # so many unreadable pictures are named; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples after the host's share of one placement.

    Attributes:
        inputs: `(samples, H, W, C)`, uint8, what the graph takes; on the disk, not in memory. Of
            clips, all frames of one and then those of the next; likewise the tiles of pictures.
        labels: what each sample is held against; None where the data have nothing.
        skipped: the names of the pictures that could not be read and were left out.
        reason: why the first of them; "" where there is none.
        digests: one a sample, equal where the pictures are, as they were before anything was done.
        frames: where the network looks, one a sample; () where the task does not ask.
        starts: where in `inputs` each clip begins, or each picture that may be cut; () where
            samples are single pictures.
        mosaics: how tiles lie in each sample, None where it is not cut; () where none may be.
    """

    inputs: NDArray[np.uint8]
    labels: tuple[Truth | None, ...]
    skipped: tuple[str, ...]
    digests: tuple[bytes, ...] = ()
    frames: tuple[Frame | None, ...] = ()
    starts: tuple[int, ...] = ()
    mosaics: tuple[Mosaic | None, ...] = ()
    reason: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """One of all pictures and labels, in their order; "" where the pictures have none."""
        if not self.digests:
            return ""
        content = (*self.digests, *map(content_of, self.labels))
        return sha256(b"".join(content)).hexdigest()[:32]

    @property
    def has_clips(self) -> bool:
        """Whether samples are clips."""
        return bool(self.starts) and not self.mosaics

    @property
    def feeds(self) -> int:
        """How many times a network takes what is here: a picture, a tile or a clip each."""
        return len(self.inputs) if self.mosaics else len(self)

    def feed(self, index: int) -> NDArray[np.uint8]:
        """What a network takes at one time: `(1, H, W, C)`, or the frames of a clip."""
        return self.inputs[index : index + 1] if self.mosaics else self.picture(index)

    def answer(self, index: int, run: Callable[[NDArray[np.uint8]], Outputs]) -> Outputs:
        """What `run` answers to one sample; of one that is cut, joined, `(1, C, H, W)`.

        Args:
            index: of the sample.
            run: gives the outputs for one of `feed`.
        """
        rows = self.picture(index)
        mosaic = self.mosaics[index] if self.mosaics else None
        if mosaic is None:
            return run(rows)
        tiles = (run(rows[tile : tile + 1])[0][0] for tile in range(len(rows)))
        return (np.concatenate(list(mosaic.join(tiles)), axis=1)[None],)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """One sample: `(1, H, W, C)`; `(frames, …)` of a clip, `(tiles, …)` of a cut picture."""
        if not self.starts:
            return self.inputs[index : index + 1]
        end = (*self.starts, len(self.inputs))[index + 1]
        return self.inputs[self.starts[index] : end]

    def some(self, indices: Sequence[int]) -> "Prepared":
        """Those at `indices`, in memory."""
        labels = tuple(self.labels[index] for index in indices)
        digests = tuple(self.digests[index] for index in indices) if self.digests else ()
        frames = tuple(self.frames[index] for index in indices) if self.frames else ()
        chosen = [self.picture(index) for index in indices]
        inputs = np.concatenate([self.inputs[:0], *chosen])
        lengths = [len(clip) for clip in chosen]
        return replace(
            self,
            inputs=inputs,
            labels=labels,
            digests=digests,
            frames=frames,
            starts=tuple(np.cumsum([0, *lengths])[:-1].tolist()) if self.starts else (),
            mosaics=tuple(self.mosaics[index] for index in indices) if self.mosaics else (),
        )

    def frame(self, index: int) -> Frame | None:
        """Where the network looks in the sample; None where the task does not ask."""
        return self.frames[index] if self.frames else None

    def describe(self) -> str:
        """How many there are and how many were left out, for people."""
        return describe_count(len(self), self.skipped, self.reason)


def describe_count(count: int, skipped: Sequence[str], reason: str) -> str:
    """How many samples there are and how many were left out, for people.

    Args:
        count: of those that serve.
        skipped: the names of the others.
        reason: why the first of them was left out; "" where nobody knows.
    """
    if not skipped:
        return f"{count} samples"
    why = f" ({reason})" if reason else ""
    return (
        f"{count} samples, {len(skipped)} unreadable left out: {name_first(_NAMED, skipped)}{why}"
    )


def warning_of_skipped(skipped: Sequence[str], where: str) -> str:
    """What is to be said of pictures that were left out.

    Args:
        skipped: their names.
        where: the path of the data in the recipe.
    """
    return f"{where}: {len(skipped)} unreadable left out: {name_first(_NAMED, skipped)}"


def prepare_samples(
    samples: Samples,
    host: Chain,
    where: str,
    *,
    fps: float | None = None,
    frames: Frames | None = None,
    tiling: Tiling | None = None,
) -> Prepared:
    """All samples, prepared by `host`, one after the other and on the disk.

    Args:
        samples: where stages look at earlier pictures, the frames of one film.
        host: the host's share of the preprocessing.
        where: the path of the data in the recipe, for messages.
        fps: how many were taken in a second; None: unknown.
        frames: of the whole chain; None where the task does not ask for them.
        tiling: of the task: pictures of other sizes than `host` takes are cut into tiles.

    Raises:
        DataError: the data break a rule, or a picture is not what the chain takes.
        StorageError: they cannot be written to temporary files.
    """
    labels: list[Truth | None] = []
    digests: list[bytes] = []
    places: list[Frame | None] = []
    starts: list[int] = []
    mosaics: list[Mosaic | None] = []
    count = 0

    def rows() -> Iterator[NDArray[np.uint8]]:
        nonlocal count
        for row in prepare_each(samples, host, where, fps=fps, frames=frames, tiling=tiling):
            labels.append(row.label)
            digests.append(row.digest)
            if frames:
                places.append(row.frame)
            if row.is_clip or tiling:
                starts.append(count)
                count += len(row.input)
            if tiling and not row.is_clip:
                mosaics.append(row.mosaic)
            yield row.input

    inputs = rows_on_disk(rows())
    return Prepared(
        inputs=inputs,
        labels=tuple(labels),
        skipped=tuple(one.name for one in samples.skipped),
        reason=next((one.reason for one in samples.skipped), ""),
        digests=tuple(digests),
        frames=tuple(places),
        starts=tuple(starts),
        mosaics=tuple(mosaics),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sample after the host's share.

    Attributes:
        input: `(1, H, W, C)`, uint8; of a clip `(frames, H, W, C)`, of a picture that was cut
            `(tiles, H, W, C)`.
        label: see `Prepared.labels`.
        digest: see `Prepared.digests`.
        frame: see `Prepared.frames`.
    """

    input: NDArray[np.uint8]
    label: Truth | None
    digest: bytes
    frame: Frame | None = None
    is_clip: bool = False
    mosaic: Mosaic | None = None

    @property
    def alone(self) -> Prepared:
        """It, as the only sample."""
        starts = (0,) if self.is_clip else ()
        return Prepared(inputs=self.input, labels=(self.label,), skipped=(), starts=starts)


def prepare_each(
    samples: Iterable[Sample],
    host: Chain,
    where: str,
    *,
    fps: float | None = None,
    frames: Frames | None = None,
    tiling: Tiling | None = None,
) -> Iterator[Row]:
    """Each sample as `host` prepares it; the arguments are those of `prepare_samples`.

    Raises:
        DataError: as `prepare_samples`.
    """
    stream = Stream(host)
    clips: bool | None = None
    for index, (picture, label) in enumerate(samples):
        is_clip = picture.ndim == 4
        if clips not in (None, is_clip):
            names = ("a picture", "a clip")
            rule = f"{where}: sample {index} must be {names[not is_clip]}, as those before it"
            raise DataError(f"{rule}, got {names[is_clip]}")
        clips = is_clip
        if is_clip:
            yield _clip_row(picture, label, host, f"{where}: sample {index}", fps, frames)
            continue
        if tiling is not None and picture.shape[:2] != host.input.size:
            yield _cut_row(picture, label, host, f"{where}: sample {index}", tiling)
            continue
        try:
            given = from_rgb(picture, host.input)
            prepared = stream.prepare(given, fps and index / fps)
        except InputError as error:
            raise DataError(f"{where}: sample {index}: {error}") from error
        if prepared is not None:
            frame = frames.of(given) if frames else None
            yield Row(input=prepared, label=label, digest=digest_of(picture), frame=frame)


def _cut_row(
    picture: NDArray[np.uint8], label: Truth | None, host: Chain, where: str, tiling: Tiling
) -> Row:
    """A picture as `host` prepares its tiles, which are of one size."""
    height, width = picture.shape[:2]
    _, *tile, _ = host.input.shape()
    mosaic = Mosaic((height, width), (tile[0], tile[1]), tiling.overlap, tiling.scale)
    try:
        given = from_rgb(picture, host.input.replace(height=None, width=None))
        tiles = [host.prepare(tile) for tile in mosaic.tiles(given)]
    except InputError as error:
        raise DataError(f"{where}: {error}") from error
    return Row(
        input=np.concatenate(tiles),
        label=label,
        digest=digest_of(picture),
        # What is joined lies over the picture, pixel by pixel.
        frame=Frame(height, width, (height, width), (IDENTITY,)),
        mosaic=mosaic,
    )


def _clip_row(
    clip: NDArray[np.uint8],
    label: Truth | None,
    host: Chain,
    where: str,
    fps: float | None,
    frames: Frames | None,
) -> Row:
    """A clip as `host` prepares it, which remembers nothing of those before."""
    stream = Stream(host)
    try:
        given = [from_rgb(picture, host.input) for picture in clip]
        prepared = [
            stream.prepare(picture, fps and index / fps) for index, picture in enumerate(given)
        ]
    except InputError as error:
        raise DataError(f"{where}: {error}") from error
    kept = [each for each in prepared if each is not None]
    if len(kept) < len(clip):
        rule = f"{where}: the preprocessing must keep every frame of a clip"
        raise DataError(f"{rule}, got {len(kept)} of {len(clip)}; let the reader leave frames out")
    return Row(
        input=np.concatenate(kept),
        label=label,
        digest=digest_of(clip),
        # Results are of the last frame.
        frame=frames.of(given[-1]) if frames else None,
        is_clip=True,
    )


def check_clips(
    prepared: Prepared, frames: int, *, remembers: bool, where: str, first: int = 0
) -> None:
    """Refuse samples that are not what the network takes.

    Args:
        prepared: the samples.
        frames: how many of them a network of clips takes at once; 1 where it takes one.
        remembers: whether the network has states, and clips are given to it frame by frame.
        where: the path of the data in the recipe, for messages.
        first: the number of the first of them, for messages.

    Raises:
        DataError: they are clips, or none, or of another length.
    """
    if not prepared.has_clips:
        if remembers or frames > 1:
            reason = "a network that remembers" if remembers else f"a network of {frames} frames"
            rule = f"must have clips (frames, height, width, 3 or 1), for {reason}"
            raise DataError(f"{where}: {rule}, got single pictures")
        return
    if not remembers and frames == 1:
        remedy = "say input.frames, or model.state"
        rule = "must have single pictures, for a network that takes one"
        raise DataError(f"{where}: {rule}, got clips; {remedy}")
    for index in range(len(prepared)) if frames > 1 else ():
        if len(prepared.picture(index)) != frames:
            got = len(prepared.picture(index))
            rule = f"sample {first + index} must have {frames} frames"
            raise DataError(f"{where}: {rule}, got {got}")
