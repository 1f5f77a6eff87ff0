"""Times that never go back, of a source whose times may."""

from math import inf, isfinite, nextafter

__all__ = ["Stamps"]


class Stamps:
    """Makes times grow: where they repeat or go back, what follows is moved on.

    A clock that was set, a counter that ran over, or parts of films that were joined give such
    times. Gaps stay, as nobody can tell them from pictures that are missing.

    Args:
        period_s: how long a picture lasts, where nothing else is known.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last_s: float | None = None
        self._shift_s = 0.0

    def next(self, time_s: float) -> float:
        """When the next picture was taken, in seconds, above all before.

        Args:
            time_s: when its source says that it was.
        """
        last = self._last_s
        if last is None:
            stamp_s = time_s if isfinite(time_s) else 0.0
        elif isfinite(time_s):
            if time_s + self._shift_s <= last:
                self._shift_s = last + self._period_s - time_s
            # What was added may be less than the last digit of a large number.
            stamp_s = max(time_s + self._shift_s, nextafter(last, inf))
        else:
            stamp_s = last + self._period_s
        self._last_s = stamp_s
        return stamp_s
