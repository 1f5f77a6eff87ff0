"""Threads of sessions, where the system may have none left."""

from threading import Thread

from edgeprep.errors import BackendError

__all__ = ["start"]


def start(thread: Thread, where: str) -> None:
    """Start `thread`.

    Raises:
        BackendError: the system has none left, as where a limit is reached.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        rule = "must have one more thread of the system"
        raise BackendError(f"{where}: {rule}, got {str(error)!r}") from error
