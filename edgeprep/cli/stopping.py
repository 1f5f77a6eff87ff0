"""Signals that ask a process to stop, as an exception: what is temporary goes, old outputs stay.

A library may swallow the exception, or make another one of it, so that the signal is remembered
too: `check_stopped` raises it again, and `stoppable` tells whether there was one.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

__all__ = ["Signals", "Stopped", "check_stopped", "stoppable"]

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


class Signals:
    """Raises `Stopped` on the first signal, and remembers it.

    Attributes:
        came: the number of the first signal; None where there was none.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        self._last = -_GRACE_S

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """What `signal.signal` is given."""
        if self.came is None:
            self.came = number
        now = monotonic()
        if now - self._last >= _GRACE_S:
            self._last = now
            raise Stopped(self.came)


_current = Signals()


def check_stopped() -> None:
    """Raise what some library swallowed: `Stopped`, where a signal came inside `stoppable`."""
    if _current.came is not None:
        raise Stopped(_current.came)


@contextmanager
def stoppable() -> Iterator[Signals]:
    """Inside, SIGINT, SIGTERM and SIGHUP raise `Stopped`, except where the caller ignores them."""
    global _current
    before = {}
    outer, _current = _current, Signals()
    signals = _current
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # NOTE: `nohup` and a shell's `&` have a signal ignored, and it has to stay so.
            if number is not None and signal.getsignal(number) in _DEFAULTS:
                before[number] = signal.signal(number, signals)
    try:
        with _swallowed_in_silence():
            yield signals
    finally:
        for number, previous in before.items():
            # After a signal the process is on its way out: a second one must not change its code.
            # NOTE: Python's own end resets every handler but this one.
            signal.signal(number, previous if signals.came is None else signal.SIG_IGN)
        _current = outer


@contextmanager
def _swallowed_in_silence() -> Iterator[None]:
    """Inside, Python prints no traceback of a `Stopped` that a finalizer or callback let out."""
    before = sys.unraisablehook

    def hook(fault: "sys.UnraisableHookArgs") -> None:
        if not isinstance(fault.exc_value, Stopped):
            before(fault)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
