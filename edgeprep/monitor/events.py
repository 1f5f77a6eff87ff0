"""What happened to a session that its owner should know of."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic, time
from typing import Any, Literal

from msgspec import Struct, field

from edgeprep.errors import InputError
from edgeprep.monitor.log import say

__all__ = ["Event", "EventKind", "Events", "check_listener"]

# "verdict": a candidate is out, before it answered anything. "failure": one that answers failed.
# "fallback", "restored": from now on another one answers; again the one that was chosen.
# "golden": it was found to compute wrong numbers, or right ones again.
# "cache": something that was kept could not be used, or could not be kept.
# "stream": a source stalled, ended, or came back. "drift": pictures or results are not as they were
# at calibration, or are so again. "memory": the process grows.
EventKind = Literal[
    "verdict", "failure", "fallback", "restored", "golden", "cache", "stream", "drift", "memory"
]
_KEPT = 256
# The levels of `logging`, which takes long to import. What goes well again is worth a line.
_INFO, _WARNING, _ERROR = 20, 30, 40
# A source that is back, pictures that are as they were, an engine that computes what it should.
_GOOD = {"stream": ("state", "back"), "drift": ("there", False), "golden": ("right", True)}


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Attributes:
        kind: of which sort it is.
        message: what happened, for people; one line.
        candidate: of which one; "" where it is of none.
        at_s: when, by `time.monotonic`, which no change of the clock moves.
        time: when, in seconds since 1970, by the system's clock.
        details: what programs want to know of it: plain values.
    """

    kind: EventKind
    message: str
    candidate: str = ""
    at_s: float = field(default_factory=monotonic)
    time: float = field(default_factory=time)
    details: Mapping[str, Any] = field(default_factory=dict)


class Events:
    """The events of one session: the last ones are kept, all are counted, logged and told on.

    It may be used by any thread. Listeners are called in the thread in which it happened, without a
    lock: one may use the session, and what happened goes on when it returns. What it raises is
    logged, and hurts nobody else; but what is to end the program goes its way.

    Args:
        session: the name of the session, for the log.
        listener: is told every event.
    """

    def __init__(self, session: str, listener: Callable[[Event], object] | None = None) -> None:
        self._session = session
        self._kept: deque[Event] = deque(maxlen=_KEPT)
        self._counts: Counter[EventKind] = Counter()
        self._listeners = [] if listener is None else [listener]
        self._lock = Lock()

    @property
    def kept(self) -> tuple[Event, ...]:
        """The last events, the earliest first."""
        with self._lock:
            return tuple(self._kept)

    @property
    def counts(self) -> Mapping[EventKind, int]:
        """How many there have been of each kind."""
        with self._lock:
            return dict(self._counts)

    def listen(self, listener: Callable[[Event], object]) -> None:
        """Tell `listener` every event from now on.

        Raises:
            InputError: it cannot be called.
        """
        check_listener("listener", listener)
        with self._lock:
            self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        """Something happened."""
        with self._lock:
            self._kept.append(event)
            self._counts[event.kind] += 1
            listeners = tuple(self._listeners)
        facts = {"edgeprep_event": event, "edgeprep_session": self._session}
        level = _INFO if _is_good(event) else _WARNING
        say(level, "session %r: %s", self._session, event.message, facts=facts)
        for listener in listeners:
            try:
                listener(event)
            except Exception as fault:  # noqa: BLE001 -- it is logged
                say(_ERROR, "session %r: a listener failed", self._session, fault=fault)


def check_listener(where: str, listener: object) -> None:
    """Refuse what cannot be told anything.

    Raises:
        InputError: it cannot be called.
    """
    if not callable(listener):
        raise InputError(f"{where}: must be called with an event, got {listener!r}")


def _is_good(event: Event) -> bool:
    """Whether it says that something goes well again."""
    fact, value = _GOOD.get(event.kind, ("", None))
    return event.kind == "restored" or (fact in event.details and event.details[fact] == value)
