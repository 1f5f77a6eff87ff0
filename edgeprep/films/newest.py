"""The newest picture of a source that does not wait for whoever looks at it."""

from collections.abc import Callable, Iterable
from threading import Condition, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec import Struct
from numpy import uint8
from numpy.typing import NDArray

from edgeprep.errors import StreamStalled

__all__ = ["Arrived", "LiveSource", "Newest"]

# A camera that is still held cannot be opened anew.
_GOODBYE_S = 1.0


class LiveSource(Protocol):
    """Something that sends pictures: iterating over it waits for the next one."""

    name: str
    fps: Any

    def __iter__(self) -> Any:
        """Pictures, `(H, W, 3)`, uint8, RGB."""

    def stop(self) -> None:
        """Let the iteration end soon; called by another thread."""

    def close(self) -> None:
        """Let go of it."""


class Arrived(Struct, frozen=True, eq=False):
    """A picture, and when it was there.

    Attributes:
        picture: `(H, W, 3)`, uint8, RGB.
        at_s: by `time.monotonic`.
    """

    picture: NDArray[uint8]
    at_s: float


class Newest:
    """A thread that reads a source, and keeps the newest of its pictures.

    Args:
        connect: opens the source; called in the thread, for that may take long, too.
        name: of the source, for messages.
        timeout_s: for how long nothing may come; None: for ever, as of a file.

    Attributes:
        source: what `connect` gave; None until then.
        dropped: how many pictures were replaced by a newer one before anybody took them.
    """

    def __init__(
        self, connect: Callable[[], LiveSource], *, name: str, timeout_s: float | None
    ) -> None:
        self.source: LiveSource | None = None
        self.dropped = 0
        self._connect = connect
        self._name = name
        self._timeout_s = timeout_s
        self._changed = Condition()
        self._waiting: Arrived | None = None
        self._fault: BaseException | None = None
        self._ended = False
        self._closed = False
        # NOTE: a daemon, as a driver that hangs must not keep the process from ending.
        self._thread = Thread(target=self._read, name=f"edgeprep reads {name}", daemon=True)
        self._thread.start()

    def take(self) -> Arrived | None:
        """The newest picture that was not taken yet, as soon as there is one; None at the end.

        Raises:
            StreamStalled: none came in time.
            FilmError: the source cannot be opened or read; and whatever else it raises.
        """
        with self._changed:
            self._changed.wait_for(self._is_something_there, self._timeout_s)
            arrived, self._waiting = self._waiting, None
            if arrived is not None:
                return arrived
            if self._fault is not None:
                raise self._fault
            if self._ended:
                return None
        rule = f"must send a picture within {self._timeout_s:g} s"
        raise StreamStalled(f"{self._name}: {rule}, got none")

    def close(self) -> None:
        """Let the thread end, which closes the source; wait for that for a moment.

        A source that sends nothing at all is closed when its own timeout is over.
        """
        with self._changed:
            self._closed = True
            source = self.source
        if source is not None:
            source.stop()
        self._thread.join(_GOODBYE_S)

    def _is_something_there(self) -> bool:
        return self._waiting is not None or self._fault is not None or self._ended

    def _read(self) -> None:
        try:
            source = self._connect()
            try:
                with self._changed:
                    self.source = source
                self._keep(source)
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

    def _keep(self, source: Iterable[NDArray[uint8]]) -> None:
        if self._closed:
            return
        for picture in source:
            with self._changed:
                if self._closed:
                    return
                self.dropped += self._waiting is not None
                self._waiting = Arrived(picture, monotonic())
                self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
