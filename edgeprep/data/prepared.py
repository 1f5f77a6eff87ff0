"""Pictures as graphs take them: read once, prepared by the host's share of the chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError
from edgeprep.geometry import Frame
from edgeprep.runtime.mosaic import Mosaic
from edgeprep.schema import name_first
from edgeprep.truths import Truth, content_of

__all__ = ["Prepared", "check_clips", "describe_count", "warning_of_skipped"]

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
