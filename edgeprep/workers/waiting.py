"""Waiting for a worker: until it answers, dies, or has taken too long."""

import select
import socket
from time import monotonic

from edgeprep.workers.process import Process

__all__ = ["Patience", "Watch"]

_GRACE_S = 1.0
_STEP_S = 1.0


class Watch:
    """What waits for an answer of a worker, and notices its death. One thread uses it at a time."""

    def __init__(self, process: Process, connection: socket.socket) -> None:
        self._process = process
        self._connection = connection.fileno()
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._poll.register(process.errors, select.POLLIN)
        if process.handle >= 0:
            self._poll.register(process.handle, select.POLLIN)

    def wait(self, patience: "Patience") -> None:
        """Return when there is something to receive.

        Raises:
            EOFError: the worker is dead.
            TimeoutError: it has taken too long.
        """
        while True:
            step_s = min(patience.left_s, _STEP_S)
            ready = {file for file, _ in self._poll.poll(step_s * 1e3)}
            if self._connection in ready:
                return
            if self._process.handle in ready:
                raise EOFError
            if self._process.errors in ready and not self._process.drain():
                self._poll.unregister(self._process.errors)
            if patience.is_over_after(step_s):
                raise TimeoutError


class Patience:
    """How long an answer is still waited for. Time in which this process was stopped is no waiting.

    Args:
        task: what is waited for, for messages, such as "load a model".
        within_s: how long it may take.
        runner: the number of the runner that it is done for; None: of none.
    """

    def __init__(self, task: str, within_s: float, runner: int | None) -> None:
        self.task = task
        self.within_s = within_s
        self.runner = runner
        self.left_s = within_s
        self._last = monotonic()

    def is_over_after(self, step_s: float) -> bool:
        """Whether it is over; at most `step_s` seconds were to be waited since the last look."""
        now = monotonic()
        waited_s, self._last = now - self._last, now
        # NOTE: where it was much longer, this process was stopped, and perhaps the worker with it.
        if waited_s <= step_s + _GRACE_S:
            self.left_s = max(self.left_s - waited_s, 0.0)
        return not self.left_s
