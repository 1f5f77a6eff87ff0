"""The garbage collector, paused where it has nothing to find."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["paused_collector"]


@contextmanager
def paused_collector() -> Iterator[None]:
    """Inside, Python does not look for garbage, unless a thread switches that on again.

    What is imported stays: to look for garbage in it again and again takes a seventh of the time
    until a session is open, and finds none.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
