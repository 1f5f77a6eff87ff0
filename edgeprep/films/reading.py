"""A thread that reads a source, whoever looks at its pictures."""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Thread
from time import monotonic
from typing import Any, Protocol

from numpy import uint8
from numpy.typing import NDArray

from edgeprep.closing import Closing
from edgeprep.errors import FilmError, StreamStalled
from edgeprep.films.arrived import Arrived
from edgeprep.films.frame import FilmFrame

__all__ = ["LiveSource", "Reading"]

# A camera that is still held cannot be opened anew.
_GOODBYE_S = 1.0


class LiveSource(Protocol):
    """Something that sends pictures: iterating over it waits for the next one."""

    @property
    def is_whole(self) -> bool:
        """Whether all has come of what has an end; a camera, which has none, is never whole."""

    def __iter__(self) -> Any:
        """Pictures, `(H, W, 3)`, uint8, RGB, or frames of a film, with their times."""

    def stop(self) -> None:
        """Let the iteration end soon; called by another thread."""

    def close(self) -> None:
        """Let go of it."""


class Reading(Closing):
    """A thread that reads a source, and keeps some of its pictures until they are taken.

    Args:
        connect: opens the source; called in the thread, for that may take long, too.
        name: of the source, for messages.
        timeout_s: for how long nothing may come; None: for ever, as of a file.

    Raises:
        FilmError: the system has no thread left.

    Attributes:
        source: what `connect` gave; None until then.
        arrived: how many pictures have come.
        dropped: how many of them nobody will ever take.
    """

    def __init__(
        self, connect: Callable[[], LiveSource], *, name: str, timeout_s: float | None
    ) -> None:
        self.source: LiveSource | None = None
        self.arrived = 0
        self.dropped = 0
        self._connect = connect
        self._name = name
        self._timeout_s = timeout_s
        self._changed = Condition()
        self._waiting: deque[Arrived] = deque()
        self._fault: BaseException | None = None
        self._ended = False
        self._closed = False
        # NOTE: a daemon, as a driver that hangs must not keep the process from ending.
        self._thread = Thread(target=self._read, name=f"edgeprep reads {name}", daemon=True)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            rule = "must have a thread that reads it"
            raise FilmError(f"{name}: {rule}, got {str(error)!r}") from error

    @property
    def waiting(self) -> int:
        """How many pictures wait to be taken."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """Whether its thread still runs: it may hang in a driver after `stop`."""
        return self._thread.is_alive()

    def take(self) -> Arrived | None:
        """The next picture that is kept, as soon as there is one; None at the end.

        Raises:
            StreamStalled: none came in time.
            FilmError: the source cannot be opened or read; and whatever else it raises.
        """
        with self._changed:
            self._changed.wait_for(self._is_something_there, self._timeout_s)
            if self._waiting:
                arrived = self._waiting.popleft()
                self._changed.notify_all()
                return arrived
            if self._fault is not None:
                raise self._fault
            if self._ended or self._closed:
                return None
        rule = f"must send a picture within {self._timeout_s:g} s"
        raise StreamStalled(f"{self._name}: {rule}, got none")

    def stop(self) -> None:
        """Let the thread end, which closes the source.

        A source that sends nothing at all is closed when its own timeout is over.
        """
        with self._changed:
            self._closed = True
            source = self.source
            self._changed.notify_all()
        if source is not None:
            source.stop()

    def close(self, patience_s: float | None = None) -> None:
        """As `stop`, and wait for a moment until it has ended."""
        self.stop()
        self._thread.join(_GOODBYE_S if patience_s is None else patience_s)

    @abstractmethod
    def _keep(self, arrived: Arrived) -> None:
        """Keep a picture; called with the lock of `_changed`."""

    def _is_something_there(self) -> bool:
        there = self._waiting or self._fault is not None or self._ended or self._closed
        return bool(there)

    def _read(self) -> None:
        try:
            source = self._connect()
            try:
                with self._changed:
                    self.source = source
                self._keep_all(source)
            finally:
                source.close()
        except BaseException as fault:  # noqa: BLE001 -- it is raised where pictures are taken
            with self._changed:
                self._fault = fault
                self._changed.notify_all()
        else:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep_all(self, source: Iterable[NDArray[uint8] | FilmFrame]) -> None:
        if self._closed:
            return
        for picture in source:
            with self._changed:
                if self._closed:
                    return
                self._keep(_arrived(picture, self.arrived))
                self.arrived += 1
                self._changed.notify_all()


def _arrived(picture: NDArray[uint8] | FilmFrame, index: int) -> Arrived:
    if isinstance(picture, FilmFrame):
        return Arrived(picture.picture, monotonic(), index, picture.time_s)
    return Arrived(picture, monotonic(), index)
