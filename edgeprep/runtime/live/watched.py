"""What a session counts of its streams, and tells of them."""

from threading import Lock
from typing import Protocol
from weakref import WeakSet

from edgeprep.monitor import Events, Meter

__all__ = ["Stoppable", "Watched"]


class Stoppable(Protocol):
    """A stream's threads."""

    @property
    def waiting(self) -> int:
        """How many pictures and answers wait between two steps."""

    def stop(self, fault: BaseException | None = None) -> None:
        """Let them end."""


class Watched:
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

    def add(self, stream: Stoppable) -> None:
        """A stream begins."""
        with self._lock:
            self._streams.add(stream)

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
            streams = list(self._streams)
        for stream in streams:
            stream.stop(fault)
