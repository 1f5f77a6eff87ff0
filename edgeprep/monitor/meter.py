"""What a session counts while it runs."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Literal, get_args

from edgeprep.monitor.histogram import BOUNDS_MS, Histogram

__all__ = ["Meter", "Step"]

# "wait": in a queue, before anything is done. "prepare": the host's share of preprocessing.
# "run": the engine, with all that is tried when one fails. "decode": what the outputs mean.
# "total": a call, or a picture of a stream, from the beginning to its result.
Step = Literal["wait", "prepare", "run", "decode", "total"]
_STEPS: tuple[Step, ...] = get_args(Step)
# NOTE: as labels these names reach systems that keep a series for each, for ever; classes of errors
# are few, and yet a plugin could make one a call.
_MOST_ERRORS = 32
_OTHERS = "other"


class Meter:
    """The counters of one session. Any thread may use it; each count takes half a microsecond.

    Attributes:
        since_s: when it began to count, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.since_s = monotonic()
        self._lock = Lock()
        self._counts = {step: [0] * (len(BOUNDS_MS) + 1) for step in _STEPS}
        self._sums_s = dict.fromkeys(_STEPS, 0.0)
        self._errors: Counter[str] = Counter()
        self._dropped = 0
        self._queued = 0
        self._most_queued = 0

    def took(self, step: Step, seconds: float) -> None:
        """A step took so long."""
        place = bisect_left(BOUNDS_MS, seconds * 1e3)
        with self._lock:
            self._counts[step][place] += 1
            self._sums_s[step] += seconds

    def failed(self, error: BaseException) -> None:
        """A call ended with `error`, which its caller got."""
        name = type(error).__name__
        with self._lock:
            if name not in self._errors and len(self._errors) >= _MOST_ERRORS:
                name = _OTHERS
            self._errors[name] += 1

    def dropped(self, pictures: int = 1) -> None:
        """So many pictures went by without a result, as newer ones were there."""
        with self._lock:
            self._dropped += pictures

    def queued(self, pictures: int) -> None:
        """So many pictures wait now, of all streams of the session together."""
        with self._lock:
            self._queued = pictures
            self._most_queued = max(self._most_queued, pictures)

    @property
    def steps(self) -> Mapping[Step, Histogram]:
        """How long each step took, of those that were made."""
        with self._lock:
            counts = {step: tuple(found) for step, found in self._counts.items()}
            sums_s = dict(self._sums_s)
        return {
            step: Histogram(counts=found, sum_ms=sums_s[step] * 1e3)
            for step, found in counts.items()
            if any(found)
        }

    @property
    def errors(self) -> Mapping[str, int]:
        """How many calls ended with an error, by its class; at most 33 of them."""
        with self._lock:
            return dict(self._errors)

    @property
    def pictures_dropped(self) -> int:
        """How many pictures went by without a result."""
        with self._lock:
            return self._dropped

    @property
    def pictures_queued(self) -> tuple[int, int]:
        """How many pictures wait, and how many did at most."""
        with self._lock:
            return self._queued, self._most_queued
