"""The pictures of a source over all its connections."""

from collections.abc import Callable
from math import isfinite, nan
from threading import Event as Flag

from msgspec import Struct

from edgeprep.errors import FilmError, StreamStalled
from edgeprep.films.arrived import Arrived
from edgeprep.films.every import Every
from edgeprep.films.newest import Newest
from edgeprep.films.reading import Reading
from edgeprep.films.stamps import Stamps
from edgeprep.monitor import Event
from edgeprep.runtime.following import Following
from edgeprep.runtime.live.back_off import BackOff
from edgeprep.runtime.live.sources import Source

__all__ = ["Capture", "Taken"]

# How many connections of one source may hang in a driver or library at one time.
_MOST_HANGING = 4
# Between pictures whose times are the same.
_TICK_S = 1e-6


class Taken(Struct, frozen=True, eq=False):
    """A picture of a source.

    Attributes:
        arrived: it.
        index: its number among all that came, over all connections.
        time_s: when it was taken, in seconds after the first one.
        begins: whether it is the first of its connection.
    """

    arrived: Arrived
    index: int
    time_s: float
    begins: bool


class Capture:
    """Opens a source, again where it is lost, and gives its pictures. One thread takes them.

    Args:
        source: what to follow.
        following: how.
        tell: is told what happens to it.

    Attributes:
        stalled: how often nothing came in time.
        connected: how often it was opened.
    """

    def __init__(
        self, source: Source, following: Following, tell: Callable[[Event], object]
    ) -> None:
        self.stalled = 0
        self.connected = 0
        self._source = source
        self._following = following
        self._tell = tell
        self._back_off = BackOff()
        self._closed = Flag()
        # What is read, and how many pictures came, and were dropped, of what was read before. It is
        # one value, as other threads look: counts must never be less than they were.
        self._now: tuple[Reading | None, int, int] = (None, 0, 0)
        self._hanging: list[Reading] = []
        self._begins = True
        self._first_s = nan
        self._has_sent = False
        self._stamps = Stamps(_TICK_S)

    @property
    def arrived(self) -> int:
        """How many pictures have come."""
        reading, arrived, _ = self._now
        return arrived + (0 if reading is None else reading.arrived)

    @property
    def dropped(self) -> int:
        """How many of them nobody took in time."""
        reading, _, dropped = self._now
        return dropped + (0 if reading is None else reading.dropped)

    @property
    def waiting(self) -> int:
        """How many wait to be taken."""
        reading = self._now[0]
        return 0 if reading is None else reading.waiting

    def take(self) -> Taken | None:
        """The next picture, as soon as it is there; None at the end, or after `close`.

        Raises:
            StreamStalled: nothing came for too long, and new tries came to nothing.
            FilmError: the source cannot be opened or read; likewise. And whatever else it raises.
        """
        while not self._closed.is_set():
            try:
                arrived = (self._now[0] or self._connect()).take()
            except FilmError as error:
                self._lose(error)
                continue
            if arrived is not None:
                return self._taken(arrived)
            if self._closed.is_set() or self._is_over():
                break
            self._lose(FilmError(f"{self._source.name}: must go on sending, got its end"))
        return None

    def stop(self) -> None:
        """Let `take` end soon; from any thread."""
        self._closed.set()
        reading = self._now[0]
        if reading is not None:
            reading.stop()

    def join(self, patience_s: float) -> None:
        """After `stop`: wait for a moment until the source is let go of."""
        reading = self._now[0]
        if reading is not None:
            reading.close(patience_s)

    def _connect(self) -> Reading:
        self._hanging = [reading for reading in self._hanging if reading.is_alive]
        if len(self._hanging) >= _MOST_HANGING:
            rule = f"must let go of what was read of it, got {_MOST_HANGING} connections that hang"
            raise FilmError(f"{self._source.name}: {rule}")
        name, connect = self._source.name, self._source.connect
        # A film may show a frame, and a caller may take, for as long as it likes.
        timeout_s = self._following.timeout_s if self._source.is_live else None
        reading: Reading
        if self._source.policy == "newest":
            reading = Newest(connect, name=name, timeout_s=timeout_s)
        else:
            reading = Every(connect, name=name, timeout_s=timeout_s, most=self._following.queue)
        self._now, self._begins = (reading, *self._now[1:]), True
        self.connected += 1
        if self._closed.is_set():
            reading.stop()
        return reading

    def _lose(self, fault: FilmError) -> None:
        """Let go of the source, and wait for the next try.

        Raises:
            FilmError: `fault`, where there is none.
        """
        self.stalled += isinstance(fault, StreamStalled)
        reading = self._now[0]
        if reading is not None:
            reading.stop()
        tries = self._back_off.tries
        if not self._source.is_live or self._is_enough(tries):
            raise fault
        wait_s = self._back_off.next_s()
        of = (
            f", {tries + 1} of {self._following.reconnect}"
            if isinstance(self._following.reconnect, int)
            else ""
        )
        message = f"{fault}; trying again in {wait_s:.3g} s{of}"
        details = {"source": self._source.name, "state": "lost", "tries": tries + 1}
        self._tell(Event(kind="stream", message=message, details={**details, "wait_s": wait_s}))
        self._back_off.wait(wait_s, self._closed)
        self._leave()

    def _is_enough(self, tries: int) -> bool:
        if self._following.reconnect == "always":
            return False
        # Whoever gives no number hears of a source that is not there at all.
        return (
            not self._has_sent
            if self._following.reconnect is None
            else tries >= self._following.reconnect
        )

    def _is_over(self) -> bool:
        """Whether the end that a source came to is none that a new try would mend."""
        reading = self._now[0]
        source = None if reading is None else reading.source
        return self._following.reconnect == 0 or (source is not None and source.is_whole)

    def _leave(self) -> None:
        reading, arrived, dropped = self._now
        if reading is None:
            return
        # A camera that is still held cannot be opened anew.
        reading.close()
        dropped += reading.dropped + reading.waiting
        self._now = (None, arrived + reading.arrived, dropped)
        if reading.is_alive:
            self._hanging.append(reading)

    def _taken(self, arrived: Arrived) -> Taken:
        if self._back_off.tries:
            name = self._source.name
            details = {"source": name, "state": "back", "tries": self._back_off.tries}
            message = f"{name}: sends again, after {self._back_off.tries} new tries"
            self._back_off.reset()
            self._tell(Event(kind="stream", message=message, details=details))
        time_s = arrived.at_s if arrived.time_s is None else arrived.time_s
        if not isfinite(self._first_s):
            self._first_s = time_s
        self._has_sent = True
        begins, self._begins = self._begins, False
        stamp_s = self._stamps.next(time_s - self._first_s)
        return Taken(arrived, self._now[1] + arrived.index, stamp_s, begins)
