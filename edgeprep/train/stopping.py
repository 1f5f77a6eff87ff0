"""Signals wait for the end of a step, where what is kept is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_between_steps"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stop_between_steps(save: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Inside, signals that Python would act on wait; what is entered is called after each step.

    It lets the handler of a signal that has come do its work, after a call of `save`; so does the
    end of the block. Who signals a second time does not wait.
    """
    before: dict[int, Handler] = {}
    came: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            deliver()

    def deliver() -> None:
        number = came[-1]
        came.clear()
        before[number](number, None)

    def reached() -> None:
        if came:
            save()
            deliver()

    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            handler = None if number is None else signal.getsignal(number)
            # What is no function is ignored, or ends the process at once.
            if number is not None and callable(handler):
                before[number] = handler
                signal.signal(number, wait)
    try:
        yield reached
        # After the last step: while what is kept was saved, or as no more batch came.
        reached()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        # An error came first, or a signal in the last moment.
        if came:
            deliver()
