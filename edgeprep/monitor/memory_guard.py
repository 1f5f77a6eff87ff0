"""Whether calls of an engine leave memory behind."""

from collections.abc import Callable, Hashable
from itertools import count
from threading import Lock

from msgspec import Struct

from edgeprep.monitor.process import resident_bytes

__all__ = ["Growth", "MemoryGuard"]

# Of so many calls one is watched: reading twice what a process holds takes 15 µs, 2 µs a call.
_EVERY = 8
# Engines and caches take their memory in the first calls.
_WARM_UP = 16
# Told when the process has grown by so much, and calls by themselves by half of it. No network of a
# small machine needs that much for one more call; one that leaks 11 MB a call has after 50 calls.
_MOST_BYTES = 256 * 2**20


class Growth(Struct, frozen=True, kw_only=True):
    """Memory that calls have not given back.

    Attributes:
        bytes: by how much the process has grown.
        call_bytes: how much of that a call leaves, in the mean.
        calls: in so many calls.
    """

    bytes: int
    call_bytes: int
    calls: int

    def __str__(self) -> str:
        """For people, in MB."""
        per_call, total = self.call_bytes / 1e6, self.bytes / 1e6
        return f"{per_call:.1f} MB a call, {total:.0f} MB in {self.calls} calls"


# A call's number, how many had ended before it, the engine, and what its process held, in bytes.
_Began = tuple[int, int, Hashable, int]


class MemoryGuard:
    """Tells of engines whose calls make the process grow without end. For any threads.

    A process may grow for other reasons: so its memory is read just before and just after a call,
    now and then, and only what is left by calls counts. Calls at the same time share what all of
    them leave. What other threads take during a call cannot be told from what the call takes.

    Args:
        read: gives the resident memory of the process that the engine runs in, in bytes; None
            where the system does not say, and nothing is told then.
        most_bytes: by how much it may grow.
        engine: another value for each engine, process, and time that one is loaded: what loading
            takes is no growth.
    """

    def __init__(
        self,
        read: Callable[[], int | None] = resident_bytes,
        most_bytes: int = _MOST_BYTES,
        engine: Callable[[], Hashable] = bool,
    ) -> None:
        self._read = read
        self._most = most_bytes
        self._engine = engine
        # NOTE: counts are exact without a lock; of how many have ended, a late thread may write
        # down a few too few, and the next call mends that.
        self._beginnings = count(1)
        self._endings = count(1)
        self._ended = 0
        self._lock = Lock()
        self._seen: Hashable = None
        self._warm_at = _WARM_UP
        self._floor: int | None = None
        self._since = 0
        self._left = 0
        self._watched = 0

    def before(self) -> _Began | None:
        """What `after` takes; None where this call is not watched."""
        number = next(self._beginnings)
        if number % _EVERY:
            return None
        ended, engine, held = self._ended, self._engine(), self._read()
        return None if held is None else (number, ended, engine, held)

    def after(self, began: _Began | None) -> Growth | None:
        """What is to be told after a call of which `before` gave `began`; nearly always None.

        Each call of `before` has one of this, whatever became of the call; with None, nothing is
        measured.
        """
        self._ended = ended = next(self._endings)
        if began is None:
            return None
        number, ended_before, engine, held = began
        now = self._read()
        if now is None or engine != self._engine():
            return None
        # As many as were under way when it began, or ended while it was.
        sharing = max(number, ended) - ended_before
        with self._lock:
            if engine != self._seen:
                if self._seen is not None:
                    self._warm_at = number + _WARM_UP
                self._seen, self._floor = engine, None
            if number <= self._warm_at:
                return None
            if self._floor is None:
                self._start(held, number)
            assert self._floor is not None  # noqa: S101 -- just set
            self._left += (now - held) // max(sharing, 1)
            self._watched += 1
            grown = now - self._floor
            left = self._left // self._watched
            calls = number - self._since + 1
            if grown < self._most or left * calls < grown / 2:
                return None
            # Told again when it has grown as much once more.
            self._start(now, number)
        return Growth(bytes=grown, call_bytes=left, calls=calls)

    def _start(self, held: int, number: int) -> None:
        self._floor, self._since = held, number
        self._left = self._watched = 0
