"""Looks at a picture now and then: seldom enough to cost nothing, often enough to tell soon."""

from collections.abc import Callable, Sequence
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
    from edgeprep.monitor.drift import Change, Drift, DriftReport

__all__ = ["EVERY", "Watch"]

# Of so many pictures one is looked at: 50 to 120 µs are 2 to 4 µs a picture then, and a camera of
# 30 pictures a second is told of after 9 seconds.
EVERY = 32
# Where pictures are rarer, one is looked at after so many seconds.
_SECONDS = 10.0
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

    Args:
        reference: what they were like; None: not known, and nothing is told.
        color: what the channels of what the graph takes mean.
        task: says which classes a result has.
        events: are told.
        clock: gives seconds that never go back.
    """

    def __init__(
        self,
        reference: Reference | None,
        color: Color,
        task: Task,
        events: Events,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._reference = reference
        self._color: Color = color
        self._task = task
        self._events = events
        self._clock = clock
        self._lock = Lock()
        self._drift: Drift | None = None
        self._classes: Any = None
        # NOTE: threads may lose one of another: then it is the 33rd picture that is looked at.
        self._left = EVERY
        self._next_s = clock() + _SECONDS

    def is_due(self) -> bool:
        """Whether the picture that just went through is to be looked at."""
        if self._reference is None:
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
            self._left = EVERY
            self._next_s = self._clock() + _SECONDS
            drift = self._drift or self._start()
            changes = drift.look(picture, self._classes_in(result))
        finally:
            self._lock.release()
        # After the lock is free: a listener may use the session.
        for change in changes:
            self._events.tell(_event(change))

    @property
    def report(self) -> "DriftReport":
        """What is known now."""
        from edgeprep.monitor.drift import DriftReport, watched

        if self._reference is None:
            return DriftReport(reason=_NO_REFERENCE)
        with self._lock:
            if self._drift is not None:
                return self._drift.report
        return DriftReport(watched=watched(self._reference))

    def _classes_in(self, result: Any) -> Sequence[int]:
        if self._classes is None:
            return ()
        try:
            found: Sequence[int] = self._classes(result)
        except Exception:  # noqa: BLE001 -- a plugin's code; an answer matters more than its class
            self._classes = None
            return ()
        return found

    def _start(self) -> "Drift":
        from edgeprep.monitor.drift import Drift
        from edgeprep.monitor.reference import classes_of

        assert self._reference is not None  # noqa: S101 -- nothing is due without one
        self._classes = classes_of(self._task) if self._reference.classes else None
        self._drift = Drift(self._reference, self._color)
        return self._drift


def _event(change: "Change") -> Event:
    words = _WORDS[change.fault] if change.there else f"no longer: {_WORDS[change.fault]}"
    return Event(
        kind="drift",
        message=f"{words}; {change.seen}" if change.seen else words,
        details={"fault": change.fault, "there": change.there},
    )
