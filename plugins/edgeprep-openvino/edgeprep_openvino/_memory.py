"""Memory that compiling has used and freed, given back to the system."""

import ctypes
import sys

__all__ = ["give_back"]


def give_back() -> None:
    """Give freed memory back, where the C library keeps it and can be told: glibc's does.

    Measured: 3.5 MB after a small network is compiled, in 0.6 ms. A process that once has many
    models would keep them all.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
