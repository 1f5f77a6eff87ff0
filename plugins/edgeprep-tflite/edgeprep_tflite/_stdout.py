"""Keeping stdout for results."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

__all__ = ["stdout_to_stderr"]


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """While it lasts, what the process prints to stdout goes to stderr, from C++ too."""
    c = ctypes.CDLL(None)
    sys.stdout.flush()
    c.fflush(None)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        # What C holds back would otherwise come out on the real stdout, later.
        c.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
