"""The pictures of one camera, and what a session makes of them."""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import inf, isfinite, nan
from numbers import Real
from typing import Any, NoReturn, Protocol, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.closing import Closing
from edgeprep.errors import InputError

__all__ = [
    "FilmStream",
    "Pace",
    "PictureStream",
    "Prepared",
    "Preparing",
    "ResultStream",
    "time_of",
]

Arrays = tuple[NDArray[Any], ...]
# How many pictures come in a second, or what says when the last one was taken; None: unknown.
Pace = float | Callable[[], float] | None


def time_of(pace: Pace, index: int) -> float | None:
    """When the picture of this number was taken, in seconds; None: unknown.

    Raises:
        InputError: the clock gives no finite number.
    """
    if pace is None:
        return None
    if not callable(pace):
        return index / pace
    time_s: object = pace()
    try:
        number = float(time_s) if isinstance(time_s, Real) else nan
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise InputError(f"pictures[{index}]: clock must give finite seconds, got {time_s!r}")
    return number


class Preparing(Protocol):
    """A chain over the pictures of one film, such as a `Stream`."""

    def prepare(
        self, picture: NDArray[np.uint8], time_s: float | None = None
    ) -> NDArray[np.uint8] | None:
        """See `Stream.prepare`."""


class Prepared(Struct, frozen=True, eq=False):
    """A picture that the network is to look at.

    Attributes:
        picture: as it came.
        taken: what the graph takes: of it, and of those before it in its window.
        place: where it is, for messages.
    """

    picture: NDArray[np.uint8]
    taken: NDArray[np.uint8]
    place: str


class ResultStream(Iterator[Any], Closing):
    """The results for the pictures of one camera or film, one a picture, as they come.

    It is closed at the end of a `with` block, too.
    """

    @abstractmethod
    def reset(self) -> None:
        """Forget all earlier pictures: the next one is the first of another film."""

    @abstractmethod
    def close(self) -> None:
        """End here: no more pictures are asked for. Calling it again does nothing."""

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> NoReturn:
        """Refuse `async for`, for which threads are needed, by saying how to get them.

        Raises:
            InputError: always.
        """
        rule = "must be iterated over with 'for', or have a policy"
        raise InputError(f"stream of pictures: {rule}, got 'async for'; pass policy=\"every\"")

    @abstractmethod
    def __next__(self) -> Any:
        """The result for the next picture; None where a stage drops it, or no window ends there."""


class FilmStream(ResultStream):
    """A stream whose two steps two threads may take.

    Each step sees the pictures in their order; `prepare` may be ahead of `answer`.
    """

    @abstractmethod
    def prepare(self, picture: NDArray[np.uint8], index: int, time_s: float | None) -> Any:
        """What `answer` takes; None where a stage drops the picture, or no window ends there.

        Args:
            picture: `(H, W, C)`, uint8.
            index: its number, for messages.
            time_s: when it was taken, in seconds.

        Raises:
            InputError: the session cannot take it; the next one may come all the same.
        """

    @abstractmethod
    def answer(self, prepared: Any) -> Any:
        """The result; None where there is none after all.

        Raises:
            OutputError: there is no finite one.
            BackendError: the engine failed.
        """


class PictureStream(FilmStream):
    """The results for the pictures of one camera or film, one a picture, as they come.

    What preprocessing and network remember of earlier pictures is this stream's alone: any number
    of them may run at once. `Session.stream` makes it.

    Args:
        pictures: `(H, W, C)` each, uint8.
        begin: a chain's stream that has seen nothing yet.
        check: raises where the session cannot answer any more.
        answer: the result for a picture, what the graph takes of it, the states before it and
            where it is, for messages; and the states after it.
        states: zeros, as the network starts with.
        window: how many pictures the network looks at.
        every: after how many more pictures it looks at them again.
        pace: when they were taken, in seconds.
    """

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        begin: Callable[[], Preparing],
        check: Callable[[], object],
        answer: Callable[[NDArray[np.uint8], NDArray[np.uint8], Arrays, str], tuple[Any, Arrays]],
        states: Arrays,
        window: int,
        every: int,
        pace: Pace,
    ) -> None:
        self._pictures = iter(pictures)
        self._begin = begin
        self._check = check
        self._answer = answer
        self._zeros = states
        self._window: deque[NDArray[np.uint8]] = deque(maxlen=window)
        self._every = every
        self._pace = pace
        self._index = 0
        self.reset()

    def reset(self) -> None:
        """See `ResultStream.reset`."""
        self._stream = self._begin()
        self._states = self._zeros
        self._window.clear()
        self._wait = 0

    def close(self) -> None:
        """See `ResultStream.close`."""
        self._pictures = iter(())

    def __next__(self) -> Any:
        """See `ResultStream.__next__`."""
        picture = next(self._pictures)
        index, self._index = self._index, self._index + 1
        prepared = self.prepare(picture, index, time_of(self._pace, index))
        return None if prepared is None else self.answer(prepared)

    def prepare(
        self, picture: NDArray[np.uint8], index: int, time_s: float | None
    ) -> Prepared | None:
        """See `FilmStream.prepare`."""
        self._check()
        prepared = self._stream.prepare(picture, time_s)
        if prepared is None:
            return None
        if self._window.maxlen != 1 and np.may_share_memory(prepared, picture):
            # NOTE: cameras write every picture into the same memory.
            prepared = prepared.copy()
        if not self._is_full(prepared):
            return None
        taken = prepared if len(self._window) == 1 else np.concatenate(self._window)
        return Prepared(picture, taken, f": pictures[{index}]")

    def answer(self, prepared: Prepared) -> Any:
        """See `FilmStream.answer`."""
        picture, taken, place = prepared.picture, prepared.taken, prepared.place
        result, self._states = self._answer(picture, taken, self._states, place)
        return result

    def _is_full(self, prepared: NDArray[np.uint8]) -> bool:
        """Whether the network looks at what it has seen, with `prepared` as the newest."""
        self._window.append(prepared)
        self._wait = max(self._wait - 1, 0)
        if self._wait or len(self._window) < (self._window.maxlen or 1):
            return False
        self._wait = self._every
        return True
