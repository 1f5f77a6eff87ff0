"""The end of the program: no thread is stopped in the midst of an engine."""

import atexit
import os
from collections import deque
from threading import current_thread
from time import sleep

from edgeprep.last_moment import LAST_S, THE_END

__all__ = ["UNDER_WAY"]


class _UnderWay:
    """Calls of engines and of what prepares pictures, in a `with` block each.

    NOTE: as the program ends, a daemon thread stops where it next asks for Python's lock. Where
    that is inside of an engine, C++ calls it an exception that nobody catches, and aborts: with
    ONNX Runtime and OpenVINO so did three programs of three. So none is inside by then.
    """

    def __init__(self) -> None:
        # Appending and popping are atomic, and take a tenth of what a lock does.
        self._inside: deque[None] = deque()
        self._is_ending = False

    def __enter__(self) -> None:
        self._inside.append(None)
        # The thread that ends the program may still call, as whatever else it waits for.
        if self._is_ending and current_thread().daemon:
            self._leave()
            while True:
                sleep(LAST_S)

    def __exit__(self, *fault: object) -> None:
        self._leave()

    def end(self) -> None:
        """Let no more daemon threads in, and wait for those that are inside."""
        self._is_ending = True
        THE_END.begin()
        while self._inside and THE_END.left_s():
            sleep(0.001)

    def forget(self) -> None:
        """Nobody is inside: this is a fork, which has none of the other threads."""
        self._inside.clear()

    def _leave(self) -> None:
        if self._inside:
            self._inside.pop()


UNDER_WAY = _UnderWay()

atexit.register(UNDER_WAY.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=UNDER_WAY.forget)
