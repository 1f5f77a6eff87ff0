"""The pictures of one camera, and what several networks together make of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import EdgePrepError
from edgeprep.monitor.watches import Origin
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.stream import FilmStream, Pace, PictureStream, Prepared, Preparing, time_of

__all__ = ["EnsembleStream"]


class EnsembleStream(FilmStream):
    """The joined results for the pictures of one camera or film.

    There is a result where every member has one.

    Args:
        pictures: `(H, W, C)` each, uint8.
        members: each has a stream of its own; those that share their preprocessing, that of the
            first of them.
        sharing: for each member the number of the one that prepares for it.
        check: raises where the session cannot answer any more.
        join: one result of those of the members.
        failed: told each error that is raised in the place of a result.
        pace: when they were taken, in seconds.
        every: see `Session.stream`.
        origin: where the pictures come from.
    """

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        members: Sequence[NetworkSession],
        sharing: Sequence[int],
        check: Callable[[], object],
        join: Callable[[Sequence[Any]], Any],
        failed: Callable[[EdgePrepError], object],
        pace: Pace,
        every: int,
        origin: Origin | None = None,
    ) -> None:
        self._pictures = iter(pictures)
        self._check = check
        self._join = join
        self._failed = failed
        self._pace = pace
        self._index = 0
        self._shared = {one: _Shared(members[one]) for one in sharing}
        self._streams: list[PictureStream] = [
            member.open_stream((), self._shared[one].itself, None, every, origin)
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
        index, self._index = self._index, self._index + 1
        # A clock is read once a picture, however many members there are.
        time_s = time_of(self._pace, index)
        return self.answer(self.prepare(picture, index, time_s))

    def prepare(
        self, picture: NDArray[np.uint8], index: int, time_s: float | None
    ) -> "list[Prepared | EdgePrepError | None]":
        """See `FilmStream.prepare`; what each member looks at, or why it cannot."""
        try:
            self._check()
        except EdgePrepError as error:
            self._failed(error)
            raise
        for shared in self._shared.values():
            shared.forget()
        prepared: list[Prepared | EdgePrepError | None] = []
        for stream in self._streams:
            try:
                prepared.append(stream.prepare(picture, index, time_s))
            except EdgePrepError as error:
                # The others see this picture all the same: they may remember it.
                prepared.append(error)
        return prepared

    def answer(self, prepared: "list[Prepared | EdgePrepError | None]") -> Any:
        """See `FilmStream.answer`."""
        try:
            return self._joined(prepared)
        except EdgePrepError as error:
            self._failed(error)
            raise

    def _joined(self, prepared: "list[Prepared | EdgePrepError | None]") -> Any:
        results: list[Any] = []
        fault: EdgePrepError | None = None
        for stream, one in zip(self._streams, prepared, strict=True):
            try:
                if isinstance(one, EdgePrepError):
                    raise one
                results.append(None if one is None else stream.answer(one))
            except EdgePrepError as error:
                fault = fault or error
        if fault is not None:
            raise fault
        return None if any(result is None for result in results) else self._join(results)


class _Shared(Preparing):
    """Prepares each picture once, for all that ask."""

    def __init__(self, session: NetworkSession) -> None:
        self._session = session
        self.reset()

    def itself(self) -> Self:
        """What a member's stream begins with."""
        return self

    def reset(self) -> None:
        self._stream = self._session.begin()
        self.forget()

    def forget(self) -> None:
        """The next picture is another one."""
        self._is_known = False
        self._prepared: NDArray[np.uint8] | None = None
        self._fault: EdgePrepError | None = None

    def prepare(
        self, picture: NDArray[np.uint8], time_s: float | None = None
    ) -> NDArray[np.uint8] | None:
        """See `Stream.prepare`."""
        if not self._is_known:
            self._is_known = True
            try:
                self._prepared = self._stream.prepare(picture, time_s)
            except EdgePrepError as error:
                self._fault = error
        if self._fault is not None:
            raise self._fault
        return self._prepared
