"""What C++ prints to stderr, held back while a block runs."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

__all__ = ["held_stderr"]

# Two threads that move stderr at once would each put the other's file back.
_lock = threading.Lock()


@contextlib.contextmanager
def held_stderr(release: Callable[[bytes], bytes]) -> Iterator[None]:
    """Hold back what the process prints to stderr; afterwards `release` says what comes out."""
    with _lock:
        try:
            kept, held = os.dup(2), _memory_file()
        except OSError:  # stderr is closed, or there is no room for a file: then it may come
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
                content = release(held.read())
                with (
                    contextlib.suppress(OSError),
                    open(2, "wb", buffering=0, closefd=False) as stderr,
                ):
                    stderr.write(content)


def _memory_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgeprep"), "w+b")
    import tempfile  # here, as Linux needs it not

    return tempfile.TemporaryFile()
