"""How long a source that is lost is left alone before a new try."""

from random import random
from threading import Event

__all__ = ["BackOff"]

# Seconds before the first new try, doubled before each further one.
_FIRST_S, _LONGEST_S = 1.0, 30.0
# From there on the longest wait counts, and numbers need not grow any more.
_DOUBLINGS = 10
# So that many devices that lost one server do not come back to it at one time.
_SPREAD = 0.25


class BackOff:
    """Waits of 1, 2, 4 … at most 30 seconds, each up to a quarter longer by chance.

    Attributes:
        tries: how many there were in a row.
    """

    def __init__(self) -> None:
        self.tries = 0

    def reset(self) -> None:
        """The source is back."""
        self.tries = 0

    def next_s(self) -> float:
        """How long to wait before the next try, in seconds."""
        wait_s: float = min(_FIRST_S * 2 ** min(self.tries, _DOUBLINGS), _LONGEST_S)
        self.tries += 1
        return wait_s * (1 + _SPREAD * random())  # noqa: S311 -- nothing secret hangs on it

    def wait(self, wait_s: float, over: Event) -> None:
        """Wait for so long, or until it is `over`."""
        over.wait(wait_s)
