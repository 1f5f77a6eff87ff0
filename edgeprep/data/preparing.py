"""The host's share of the chain, done to samples: all of them, or one by one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import rows_on_disk
from edgeprep.data.prepared import Prepared
from edgeprep.data.samples import Sample, Samples
from edgeprep.errors import DataError, InputError
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.interfaces import Tiling
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import from_rgb
from edgeprep.runtime.mosaic import Mosaic
from edgeprep.stages.chain import Chain
from edgeprep.stages.stream import Stream
from edgeprep.truths import Truth

__all__ = ["Row", "prepare_each", "prepare_samples"]


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
