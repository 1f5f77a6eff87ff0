"""What a session counts of its streams, and tells of them."""

from threading import Lock
from typing import Protocol
from weakref import WeakSet

from edgeprep.monitor import Events, Meter

__all__ = ["Stoppable", "Streams"]


class Stoppable(Protocol):
    """A stream's threads."""

    @property
    def waiting(self) -> int:
        """How many pictures and answers wait between two steps."""

    def stop(self, fault: BaseException | None = None) -> None:
        """Let them end."""


class Streams:
    """The streams of one session. Any thread may use it.

    Args:
        meter: the session's.
        events: likewise.
    """

    def __init__(self, meter: Meter, events: Events) -> None:
        self.meter = meter
        self.tell = events.tell
        self._streams: WeakSet[Stoppable] = WeakSet()
        self._lock = Lock()
        self._fault: BaseException | None = None

    def add(self, stream: Stoppable) -> None:
        """A stream begins; after `stop` it ends at once."""
        with self._lock:
            self._streams.add(stream)
            fault = self._fault
        if fault is not None:
            stream.stop(fault)

    def remove(self, stream: Stoppable) -> None:
        """It has ended."""
        with self._lock:
            self._streams.discard(stream)
        self.count()

    def count(self) -> None:
        """Count what waits now."""
        with self._lock:
            waiting = sum(stream.waiting for stream in self._streams)
        self.meter.queued(waiting)

    def stop(self, fault: BaseException) -> None:
        """Let all streams end with `fault`."""
        with self._lock:
            streams, self._fault = list(self._streams), fault
        for stream in streams:
            stream.stop(fault)
