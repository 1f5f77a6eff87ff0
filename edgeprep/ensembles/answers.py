"""What sessions answer to samples, in memory as arrays on the disk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from edgeprep.combine import Arrays
from edgeprep.data import Samples
from edgeprep.data.digest import digest_of
from edgeprep.data.outputs_on_disk import outputs_on_disk
from edgeprep.errors import DataError, InputError
from edgeprep.interfaces import Blending
from edgeprep.runtime import Session, from_rgb
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.stream import ResultStream
from edgeprep.schema import name_first
from edgeprep.truths import Truth

__all__ = ["Answered", "Results", "answer_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results(Sequence[Any]):
    """Results, each made of its arrays when it is asked for: masks of many fill the memory.

    Attributes:
        blending: makes them.
        arrays: one tuple a sample.
    """

    blending: Blending
    arrays: Sequence[Arrays]

    def __len__(self) -> int:
        return len(self.arrays)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.blending.give(self.arrays[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What several sessions answered to the same samples.

    Attributes:
        arrays: for each session one tuple a sample, as its task's `Blending` takes them.
        times_ms: how long each took for each sample, likewise.
        truths: what each sample is held against.
        digests: one a sample, equal where the pictures are.
        skipped: the names of the pictures that could not be read.
        dropped: how many pictures a stage over time has left out.
    """

    arrays: tuple[tuple[Arrays, ...], ...]
    times_ms: tuple[tuple[float, ...], ...]
    truths: tuple[Truth | None, ...]
    digests: tuple[bytes, ...]
    skipped: tuple[str, ...]
    dropped: int = 0

    def describe(self) -> str:
        """How many there are and how many were left out, for people."""
        count = f"{len(self.truths)} samples"
        if self.dropped:
            count += f", {self.dropped} dropped by a stage over time"
        if not self.skipped:
            return count
        return f"{count}, {len(self.skipped)} unreadable left out: {name_first(3, self.skipped)}"


def answer_all(
    sessions: Sequence[Session],
    blendings: Sequence[Blending],
    samples: Samples,
    where: str,
    *,
    fps: float | None = None,
) -> Answered:
    """What each of `sessions` answers to each of `samples`, one sample after the other.

    Args:
        sessions: that take the same pictures.
        blendings: takes the results of each apart.
        samples: pictures; where stages look at earlier ones, the frames of one film; or clips.
        where: the path of the data in the recipe, for messages.
        fps: how many were taken in a second; None: unknown.

    Raises:
        DataError: the data break a rule, a sample is not what the sessions take, a stage leaves out
            a frame of a clip, or none is left.
        StorageError: temporary files cannot be written.
    """
    asked = [_Asked(session, fps) for session in sessions]
    times: list[list[float]] = [[] for _ in sessions]
    truths: list[Truth | None] = []
    digests: list[bytes] = []
    dropped: list[int] = []

    def rows() -> Iterator[Arrays]:
        for index, (picture, truth) in enumerate(samples):
            try:
                for each in asked:
                    each.warm(picture)
                answers = _in_turn(asked, blendings, picture, first=index % len(asked))
            except InputError as error:
                raise DataError(f"{where}: sample {index}: {error}") from error
            taken = [arrays for arrays, _ in answers if arrays is not None]
            if len(taken) < len(asked):
                dropped.append(index)
                continue
            truths.append(truth)
            digests.append(digest_of(picture))
            for number, (_, time_ms) in enumerate(answers):
                times[number].append(time_ms)
            yield from taken

    arrays = outputs_on_disk(rows())
    if not truths:
        rule = "must have a sample that every member answers to"
        raise DataError(f"{where}: {rule}, got {len(dropped)} that a stage over time drops")
    count = len(sessions)
    return Answered(
        arrays=tuple(tuple(arrays[number::count]) for number in range(count)),
        times_ms=tuple(map(tuple, times)),
        truths=tuple(truths),
        digests=tuple(digests),
        skipped=tuple(one.name for one in samples.skipped),
        dropped=len(dropped),
    )


def _in_turn(
    asked: Sequence[Callable[[NDArray[np.uint8]], Any]],
    blendings: Sequence[Blending],
    picture: NDArray[np.uint8],
    *,
    first: int,
) -> list[tuple[Arrays | None, float]]:
    """The answer of each and its time; who is asked first finds the processor's caches cold."""
    order = [*range(first, len(asked)), *range(first)]
    answers = {number: _timed(asked[number], blendings[number], picture) for number in order}
    return [answers[number] for number in range(len(asked))]


def _timed(
    ask: Callable[[NDArray[np.uint8]], Any], blending: Blending, picture: NDArray[np.uint8]
) -> tuple[Arrays | None, float]:
    """What is taken of a result, None where there is none; results are worked out meanwhile."""
    start = perf_counter()
    result = ask(picture)
    taken = None if result is None else blending.take(result)
    return taken, (perf_counter() - start) * 1e3


class _Asked:
    """A session that is asked for samples of any kind."""

    def __init__(self, session: Session, fps: float | None) -> None:
        self._session = session
        self._fps = fps
        self._newest: NDArray[np.uint8] | None = None
        self._film: ResultStream | None = None

    def warm(self, sample: NDArray[np.uint8]) -> None:
        """Have ready what only the first picture of a size costs, for whoever is asked first."""
        session = self._session
        single = sample.ndim == 3 and session.input.batch == 1
        if isinstance(session, NetworkSession) and single and not session.streams_only:
            session.prepare(from_rgb(sample, session.input))

    def __call__(self, sample: NDArray[np.uint8]) -> Any:
        """The result; None where a stage drops the picture."""
        session = self._session
        if sample.ndim == 3:
            given = from_rgb(sample, session.input)
            return self._of_film(given) if session.streams_only else session(given)
        frames = [from_rgb(frame, session.input) for frame in sample]
        if session.input.batch > 1:
            return session(np.stack(frames))
        if not session.streams_only:
            rule = "must be a single picture, for networks that take one"
            raise InputError(f"{rule}, got a clip of shape {sample.shape}")
        results = [*session.stream(frames, fps=self._fps)]
        kept = sum(result is not None for result in results)
        if kept < len(results):
            rule = "the preprocessing must keep every frame of a clip"
            raise InputError(f"{rule}, got {kept} of {len(results)}")
        return results[-1]

    def _of_film(self, picture: NDArray[np.uint8]) -> Any:
        self._newest = picture
        if self._film is None:
            self._film = self._session.stream(self._pictures(), fps=self._fps)
        return next(self._film)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        while self._newest is not None:
            yield self._newest
