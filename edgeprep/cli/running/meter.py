"""How fast a live source is followed, over the last seconds."""

from collections import deque
from collections.abc import Callable
from time import monotonic

import numpy as np

__all__ = ["Meter"]

_WINDOW_S = 2.0


class Meter:
    """Frame rate and latency of what was added lately.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, arrived_s: float) -> None:
        """A result is there, of a picture that arrived at this time of the same clock."""
        now = self._clock()
        self._seen.append((now, now - arrived_s))
        self._forget(now)

    def line(self, dropped: int) -> str:
        """What people see: results per second, and how long after its picture each one comes."""
        now = self._clock()
        self._forget(now)
        span_s = min(now - self._began, _WINDOW_S)
        pace = len(self._seen) / span_s if span_s else 0.0
        tail = f"{dropped} dropped"
        if not self._seen:
            return f"{pace:.1f} frames/s, {tail}"
        middle, most = np.percentile([latency * 1000 for _, latency in self._seen], [50, 90])
        return f"{pace:.1f} frames/s, latency p50 {middle:.1f} ms, p90 {most:.1f} ms, {tail}"

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[0][0] < now - _WINDOW_S:
            self._seen.popleft()
