"""What a process holds: memory, open files, threads, temporary files."""

import ctypes
import os
import tempfile
import threading
from pathlib import Path

__all__ = ["file_count", "rss_bytes", "temporary_count", "thread_count", "trim"]


def rss_bytes() -> int:
    """Memory of this process that is in use, in bytes, as the system counts it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def file_count() -> int:
    """How many files, sockets and pipes this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- as a Path it would be open itself


def thread_count() -> int:
    """How many threads this process has, those of engines among them."""
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.is_dir() else threading.active_count()


def temporary_count() -> int:
    """How many files and folders there are where temporary ones go."""
    return sum(1 for _ in Path(tempfile.gettempdir()).iterdir())


def trim() -> None:
    """Give back to the system what was freed and is kept for later, as far as the C library can."""
    if hasattr(ctypes.CDLL(None), "malloc_trim"):  # the GNU one's
        ctypes.CDLL(None).malloc_trim(0)
