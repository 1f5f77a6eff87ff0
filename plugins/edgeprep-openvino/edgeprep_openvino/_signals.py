"""The stack on which a thread takes signals, kept from OpenVINO."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_signal_stack"]


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Inside, the CPU plugin of OpenVINO may be loaded; after it, signals come where they did.

    The plugin gives the thread that loads it a small stack of its own for signals, and takes its
    memory away when it is unloaded. Where another thread unloads it, the first thread keeps an
    address that is no memory any more: the next signal, such as Ctrl-C or that of a child process
    that has ended, kills the process. Python's handlers need no such stack.

    Source: openvino 2026.4.1 on Linux, by gdb: waitpid() killed by a SIGCHLD whose sigaltstack is
    not mapped (tests/test_openvino_signals.py).
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    library = ctypes.CDLL(None)
    before = _Stack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)
