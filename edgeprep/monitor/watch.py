"""Looks at a picture now and then: seldom enough to cost nothing, often enough to tell soon."""

from collections.abc import Callable, Sequence
from math import inf
from random import random
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Reference
from edgeprep.interfaces import Task
from edgeprep.monitor.events import Event, Events
from edgeprep.tensors import Color

if TYPE_CHECKING:  # imported at the first look, as opening is short
    from edgeprep.monitor.drift import Change, Drift, DriftReport, Fault

__all__ = ["EVERY", "Watch"]

# Of so many pictures one is looked at: 100 µs, and 250 of one of 1920×1080, are 3 to 8 a picture
# then, and a camera of 30 pictures a second is told of after 9 seconds.
EVERY = 32
# Where pictures are rarer, one is looked at after so many seconds.
_SECONDS = 10.0
# By so much of both a look comes sooner or later, by chance: of cameras that take turns, or pieces
# of pictures, the same one would be looked at for ever.
_SPREAD = 1 / 8
# Seconds after which a fault that has come again is told again: each time twice as many, at most
# the second, until it was away for as long twice. Otherwise a scene at the edge of what calibration
# had would fill the log for months.
_SOONEST_S, _LATEST_S = 60.0, 3600.0
# Above are no numbers of classes, of which every one that is counted takes memory.
_MOST_CLASSES = 1 << 16
_NO_REFERENCE = (
    "the bundle has no reference: it was made by an older edgeprep, or of fewer than 16 pictures"
)
_WORDS = {
    "black": "pictures are black",
    "dark": "pictures are darker than at calibration",
    "overexposed": "pictures are overexposed",
    "flat": "pictures have less contrast than at calibration",
    "unsharp": "pictures are out of focus",
    "noisy": "pictures are noisier than at calibration",
    "swapped": "pictures look as if red and blue were swapped",
    "frozen": "the same picture comes again and again",
    "classes": "the network finds other classes than at calibration",
}


class Watch:
    """Tells when pictures and answers are no longer as they were at calibration. For any threads.

    A fault is told once when it begins, however long it lasts, and once when it is over. One that
    comes and goes is told again after a minute, then two, four, at most 60 minutes, if it is there
    then: 30 times on the first day, and 24 on each that follows. The report has it at once.

    Args:
        reference: what they were like; None: not known, and nothing is told.
        color: what the channels of what the graph takes mean.
        task: says which classes a result has.
        events: are told.
        clock: gives seconds that never go back.
        name: of the camera or film that pictures are of; "" where there is none.

    Attributes:
        name: likewise.
    """

    def __init__(
        self,
        reference: Reference | None,
        color: Color,
        task: Task,
        events: Events,
        clock: Callable[[], float] = monotonic,
        *,
        name: str = "",
    ) -> None:
        self.name = name
        self._reference = reference
        self._color: Color = color
        self._task = task
        self._events = events
        self._clock = clock
        self._lock = Lock()
        self._drift: Drift | None = None
        self._untold: dict[Fault, Change] = {}
        self._told: set[Fault] = set()
        self._begun: dict[Fault, tuple[float, float]] = {}
        self._classes: Any = None
        self._fault = ""
        self._begin()

    def is_due(self) -> bool:
        """Whether the picture that just went through is to be looked at."""
        if self._reference is None or self._fault:
            return False
        self._left -= 1
        return self._left <= 0 or self._clock() >= self._next_s

    def look(self, picture: NDArray[np.uint8], result: Any) -> None:
        """Compare one picture and its result with what they were like.

        Args:
            picture: `(H, W, C)`, uint8, as the graph took it.
            result: what the task made of the answer.
        """
        # Whoever comes while another looks goes on: one picture is as good as another.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._begin()
            events = self._seen_in(picture, result)
        finally:
            self._lock.release()
        # After the lock is free: a listener may use the session.
        for event in events:
            self._events.tell(event)

    @property
    def report(self) -> "DriftReport":
        """What is known now."""
        from edgeprep.monitor.drift import DriftReport, watched

        if self._reference is None:
            return DriftReport(reason=_NO_REFERENCE)
        if self._fault:
            return DriftReport(reason=self._fault)
        with self._lock:
            if self._drift is not None:
                return self._drift.report
        return DriftReport(watched=watched(self._reference))

    def _begin(self) -> None:
        """Count to the next look."""
        # NOTE: threads may lose one of another: then it is one picture later.
        spread = int(EVERY * _SPREAD)
        self._left = EVERY - spread + int(random() * (2 * spread + 1))  # noqa: S311 -- no secret
        wait = 1 - _SPREAD + 2 * _SPREAD * random()  # noqa: S311 -- likewise
        self._next_s = self._clock() + _SECONDS * wait

    def _seen_in(self, picture: NDArray[np.uint8], result: Any) -> Sequence[Event]:
        try:
            drift = self._drift or self._start()
            changes = drift.look(picture, self._classes_in(result))
        except Exception as error:  # noqa: BLE001 -- the answer is there, and matters more
            self._fault = f"looking at pictures failed: {type(error).__name__}: {error}"
            message = f"drift is no longer looked for; {self._fault}"
            return (self._event(message, fault="watch", there=True),)
        for change in changes:
            self._untold[change.fault] = change
        return [
            self._change(change) for change in [*self._untold.values()] if self._is_time(change)
        ]

    def _is_time(self, change: "Change") -> bool:
        """Whether a change is told now; if not, it may be later, or be over by then."""
        fault, now_s = change.fault, self._clock()
        is_news = change.there != (fault in self._told)
        if is_news and change.there:
            last_s, wait_s = self._begun.get(fault, (-inf, 0.0))
            if now_s < last_s + wait_s:
                return False
            is_late = now_s - last_s > 2 * _LATEST_S
            wait_s = _SOONEST_S if is_late else min(2 * wait_s, _LATEST_S)
            self._begun[fault] = now_s, wait_s
            self._told.add(fault)
        elif is_news:
            self._told.remove(fault)
        del self._untold[fault]
        return is_news

    def _classes_in(self, result: Any) -> Sequence[int]:
        if self._classes is None:
            return ()
        try:
            found = [int(number) for number in self._classes(result)]
        except Exception:  # noqa: BLE001 -- a plugin's code; an answer matters more than its class
            self._classes = None
            return ()
        return [number for number in found if 0 <= number < _MOST_CLASSES]

    def _start(self) -> "Drift":
        from edgeprep.monitor.drift import Drift
        from edgeprep.monitor.reference import classes_of

        assert self._reference is not None  # noqa: S101 -- nothing is due without one
        self._classes = classes_of(self._task) if self._reference.classes else None
        self._drift = Drift(self._reference, self._color)
        return self._drift

    def _change(self, change: "Change") -> Event:
        words = _WORDS[change.fault] if change.there else f"no longer: {_WORDS[change.fault]}"
        message = f"{words}; {change.seen}" if change.seen else words
        return self._event(message, fault=change.fault, there=change.there)

    def _event(self, message: str, **details: object) -> Event:
        if self.name:
            message, details = f"{self.name}: {message}", {**details, "stream": self.name}
        return Event(kind="drift", message=message, details=details)
