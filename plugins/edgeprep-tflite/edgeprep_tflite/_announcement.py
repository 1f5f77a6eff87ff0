"""The one line that LiteRT prints at a process's first model, which tells nobody anything."""

import contextlib
import sys
import threading
from collections.abc import Iterator

from edgeprep_tflite._stderr import held_stderr

__all__ = ["libraries_may_speak", "without_announcement"]

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
    if _announced or libraries_may_speak():
        yield
        return
    with _lock, held_stderr(lambda printed: printed.replace(_LINE, b"")):
        try:
            yield
        finally:
            _announced = True


def libraries_may_speak() -> bool:
    """Whether the logger "edgeprep" is at DEBUG."""
    # Where nobody has imported logging, which takes as long as loading a model, nobody has set it.
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG)
