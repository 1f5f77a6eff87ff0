"""The pictures of one camera, and what several networks together make of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import EdgePrepError
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.stream import Pace, PictureStream, Preparing, ResultStream

__all__ = ["EnsembleStream"]


class EnsembleStream(ResultStream):
    """The joined results for the pictures of one camera or film.

    There is a result where every member has one.

    Args:
        pictures: `(H, W, C)` each, uint8.
        members: each has a stream of its own; those that share their preprocessing, that of the
            first of them.
        sharing: for each member the number of the one that prepares for it.
        check: raises where the session cannot answer any more.
        join: one result of those of the members.
        pace: when they were taken, in seconds.
        every: see `Session.stream`.
    """

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        members: Sequence[NetworkSession],
        sharing: Sequence[int],
        check: Callable[[], object],
        join: Callable[[Sequence[Any]], Any],
        pace: Pace,
        every: int,
    ) -> None:
        self._pictures = iter(pictures)
        self._check = check
        self._join = join
        self._now = _Now()
        self._shared = {one: _Shared(members[one], self._now) for one in sharing}
        self._clock = pace if callable(pace) else None
        # A clock is read once a picture: the second member is asked after the first has answered.
        own_pace: Pace = pace if self._clock is None else self._now.time
        self._streams: list[PictureStream] = [
            member.open_stream(self._now, self._shared[one].itself, own_pace, every)
            for member, one in zip(members, sharing, strict=True)
        ]

    def reset(self) -> None:
        """See `ResultStream.reset`."""
        for shared in self._shared.values():
            shared.reset()
        for stream in self._streams:
            stream.reset()

    def close(self) -> None:
        """See `ResultStream.close`."""
        self._pictures = iter(())

    def __next__(self) -> Any:
        """See `ResultStream.__next__`."""
        picture = next(self._pictures)
        self._check()
        self._now.put(picture, 0.0 if self._clock is None else self._clock())
        results: list[Any] = []
        fault: EdgePrepError | None = None
        for stream in self._streams:
            try:
                results.append(next(stream))
            except EdgePrepError as error:
                # The others see this picture all the same: they may remember it.
                fault = fault or error
        if fault is not None:
            raise fault
        return None if any(result is None for result in results) else self._join(results)


class _Now(Iterator[NDArray[np.uint8]]):
    """Gives the picture that it was given last, and its time, as often as it is asked."""

    def __init__(self) -> None:
        self.index = -1
        self._picture: Any = None
        self._time_s = 0.0

    def put(self, picture: NDArray[np.uint8], time_s: float) -> None:
        self.index += 1
        self._picture = picture
        self._time_s = time_s

    def time(self) -> float:
        return self._time_s

    def __next__(self) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self._picture
        return picture


class _Shared(Preparing):
    """Prepares each picture once, for all that ask."""

    def __init__(self, session: NetworkSession, now: _Now) -> None:
        self._session = session
        self._now = now
        self.reset()

    def itself(self) -> Self:
        """What a member's stream begins with."""
        return self

    def reset(self) -> None:
        self._stream = self._session.begin()
        self._at = -1
        self._prepared: NDArray[np.uint8] | None = None
        self._fault: EdgePrepError | None = None

    def prepare(
        self, picture: NDArray[np.uint8], time_s: float | None = None
    ) -> NDArray[np.uint8] | None:
        """See `Stream.prepare`."""
        if self._at != self._now.index:
            self._at = self._now.index
            self._prepared, self._fault = None, None
            try:
                self._prepared = self._stream.prepare(picture, time_s)
            except EdgePrepError as error:
                self._fault = error
        if self._fault is not None:
            raise self._fault
        return self._prepared
