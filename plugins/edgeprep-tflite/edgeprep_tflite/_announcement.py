"""The one line that LiteRT prints at a process's first model, which tells nobody anything."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["without_announcement"]

_LINE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"

_lock = threading.Lock()
_announced = False


@contextlib.contextmanager
def without_announcement() -> Iterator[None]:
    """Build the first interpreter inside; all else that is printed to stderr comes out afterwards.

    The line comes from C++ and heeds no setting. Nothing is held back where the logger "edgeprep"
    is at DEBUG, as `--verbose` has it.
    """
    global _announced
    if _announced or _libraries_may_speak():
        yield
        return
    # Two threads that move stderr at once would each put the other's file back.
    with _lock, _stderr_without(_LINE):
        try:
            yield
        finally:
            _announced = True


def _libraries_may_speak() -> bool:
    # Where nobody has imported logging, which takes as long as loading a model, nobody has set it.
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG)


def _memory_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgeprep"), "w+b")
    import tempfile  # here, as Linux needs it not

    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _stderr_without(line: bytes) -> Iterator[None]:
    try:
        kept, held = os.dup(2), _memory_file()
    except OSError:  # stderr is closed, or there is no room for a file: then the line may come
        yield
        return
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            with contextlib.suppress(OSError), open(2, "wb", buffering=0, closefd=False) as stderr:
                stderr.write(held.read().replace(line, b""))
