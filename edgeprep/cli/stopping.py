"""Signals that ask a process to stop, as an exception: what is temporary goes, old outputs stay."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

__all__ = ["Stopped", "stoppable"]

# `timeout` signals a process and then its whole group, and people press Ctrl-C twice: the second
# signal must not stop the clean-up after the first.
_GRACE_S = 1.0
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Stopped(KeyboardInterrupt):
    """A signal came. All code that lets KeyboardInterrupt through lets this through.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP raise `Stopped`, except where the caller ignores them."""
    before = {}
    handler = _Handler()
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # NOTE: `nohup` and a shell's `&` have a signal ignored, and it has to stay so.
            if number is not None and signal.getsignal(number) in _DEFAULTS:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            # After a signal the process is on its way out: a second one must not change its code.
            # NOTE: Python's own end resets every handler but this one.
            signal.signal(number, signal.SIG_IGN if handler.came else previous)


class _Handler:
    def __init__(self) -> None:
        self._last = -_GRACE_S

    @property
    def came(self) -> bool:
        """Whether there was a signal."""
        return self._last >= 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = monotonic()
        if now - self._last >= _GRACE_S:
            self._last = now
            raise Stopped(number)
