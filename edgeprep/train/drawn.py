"""Pictures of which every epoch has others, drawn while the epoch before is learned from."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import Prepared, Samples, prepare_each
from edgeprep.data.digest import digest_of
from edgeprep.data.on_disk import map_rows, unnamed_file, write_rows
from edgeprep.data.preparing import Row
from edgeprep.errors import DataError, EdgePrepError
from edgeprep.geometry import Frame
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.train.split import Split
from edgeprep.train.supply import Batch, Indices, Labels, Supply, as_tensors
from edgeprep.train.variation import Variation
from edgeprep.truths import Truth

__all__ = ["Drawn"]


class Drawn(Supply):
    """Other pictures in every epoch.

    Args:
        split: where they come from.
        host: the host's share of the preprocessing, for pictures as they are.
        vary: what is done to pictures that vary; None where they do not.
        fps: how many were taken in a second.
        frames: of the whole preprocessing; None where the task is not spatial.
        checked: gives the rows of the data at a path on where networks take them, and raises else.
        ahead: whether another process draws the next epoch.
    """

    def __init__(
        self,
        split: Split,
        host: Chain,
        vary: Variation | None,
        *,
        fps: float | None,
        frames: Frames | None,
        checked: Callable[[Iterable[Row], str], Iterator[Row]],
        ahead: bool,
    ) -> None:
        self._split = split
        self._frames = frames
        self._host = host
        self._vary = vary
        self._fps = fps
        self._checked = checked
        self._ahead = ahead
        self._process: _Process | None = None
        self._current = (0, self._draw(0))
        first = self._current[1]
        self._labels, self._digests = first.labels, first.digests

    @property
    def labels(self) -> Labels:
        """See `Supply.labels`."""
        return self._labels

    @property
    def digests(self) -> tuple[bytes, ...]:
        """See `Supply.digests`."""
        return self._digests

    def batches(
        self, epoch: int, chosen: Sequence[Indices], *, upcoming: int | None = None
    ) -> Iterator[Batch]:
        """See `Supply.batches`."""
        prepared = self._take(epoch)
        if self._ahead and upcoming is not None:
            self._process = _Process(upcoming, self._rows)
        for indices in chosen:
            yield as_tensors(prepared, indices, self._split.where)

    def close(self) -> None:
        """See `Supply.close`."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _take(self, epoch: int) -> Prepared:
        if self._current[0] != epoch:
            if self._process is not None and self._process.epoch == epoch:
                prepared = self._process.take(self._split.where)
            else:
                prepared = self._draw(epoch)
            self.close()
            self._current = (epoch, self._of_first_length(epoch, prepared))
        return self._current[1]

    def _of_first_length(self, epoch: int, prepared: Prepared) -> Prepared:
        if len(prepared) != len(self):
            rule = f"must give {len(self)} pictures in every epoch, as in the first"
            got = f"{len(prepared)} in epoch {epoch + 1}"
            raise DataError(f"{self._split.where}: {rule}, got {got}")
        return prepared

    def _draw(self, epoch: int) -> Prepared:
        with unnamed_file() as file:
            return _write(file, self._rows(epoch)).prepared(file)

    def _rows(self, epoch: int) -> Iterator[Row]:
        samples, where = self._split.samples(epoch), self._split.where
        if self._vary is None:
            rows = prepare_each(samples, self._host, where, fps=self._fps, frames=self._frames)
        else:
            # Other processes of the training may draw another epoch by now.
            rows = _varied(samples, replace(self._vary, augment=self._vary.augment.at(epoch)))
        return self._checked(rows, where)


def _varied(samples: Samples, vary: Variation) -> Iterator[Row]:
    for index, (picture, label) in enumerate(samples):
        row, frame = vary(picture, index)
        is_clip = picture.ndim == 4
        yield Row(
            input=row[0] if is_clip else row,
            label=label,
            digest=digest_of(picture),
            frame=frame,
            is_clip=is_clip,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What there is to know of rows in a file."""

    shape: tuple[int, ...]
    labels: Labels
    digests: tuple[bytes, ...]
    frames: tuple[Frame | None, ...]
    starts: tuple[int, ...]

    def prepared(self, file: BinaryIO) -> Prepared:
        return Prepared(
            inputs=map_rows(file, self.shape),
            labels=self.labels,
            skipped=(),
            digests=self.digests,
            frames=self.frames,
            starts=self.starts,
        )


def _write(file: BinaryIO, rows: Iterator[Row]) -> _Written:
    labels: list[Truth | None] = []
    digests: list[bytes] = []
    frames: list[Frame | None] = []
    lengths: list[int] = []
    clips = False

    def pictures() -> Iterator[NDArray[np.uint8]]:
        nonlocal clips
        for row in rows:
            clips = row.is_clip
            lengths.append(len(row.input))
            labels.append(row.label)
            digests.append(row.digest)
            frames.append(row.frame)
            yield row.input

    shape = write_rows(file, pictures())
    return _Written(
        shape=shape,
        labels=tuple(labels),
        digests=tuple(digests),
        frames=tuple(frames),
        starts=tuple(accumulate(lengths[:-1], initial=0)) if clips else (),
    )


class _Process:
    """A child that draws one epoch into a file without a name, which a kill leaves nothing of."""

    def __init__(self, epoch: int, rows: Callable[[int], Iterator[Row]]) -> None:
        self.epoch = epoch
        self._open = ExitStack()
        self._rows = self._open.enter_context(unnamed_file())
        # NOTE: a factory's module has a private name, which a fresh process could not import.
        fork = get_context("fork")
        self._answers, answer = fork.Pipe(duplex=False)
        self._process: ForkProcess = fork.Process(
            target=_draw_in_child, args=(epoch, rows, self._rows, answer), daemon=True
        )
        self._process.start()
        answer.close()

    def take(self, where: str) -> Prepared:
        """What it has drawn, once it has."""
        try:
            answer = self._answers.recv()
        except EOFError:
            self._process.join()
            rule = f"the process that draws epoch {self.epoch + 1} must come to its end"
            got = f"exit code {self._process.exitcode}"
            raise DataError(f"{where}: {rule}, got {got}") from None
        if isinstance(answer, EdgePrepError):
            raise answer
        written: _Written = answer
        return written.prepared(self._rows)

    def close(self) -> None:
        """End it, wherever it is."""
        self._process.kill()
        self._process.join()
        self._answers.close()
        self._open.close()


def _draw_in_child(
    epoch: int, rows: Callable[[int], Iterator[Row]], file: BinaryIO, answer: Connection
) -> None:
    # A terminal interrupts the whole group; the parent ends this process when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Nobody is told any more where the parent was killed.
    with suppress(BrokenPipeError):
        try:
            answer.send(_write(file, rows(epoch)))
        except EdgePrepError as error:
            answer.send(error)
