"""Several runners of one candidate, for engines that compute one call at a time on each."""

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Semaphore
from typing import Any

from numpy.typing import NDArray

from edgeprep.interfaces import Runner
from edgeprep.tensors import TensorSpec

__all__ = ["Pool"]


class Pool(Runner):
    """Runners that are the same, each in one call's hands at a time; further callers wait.

    Args:
        runners: at least one. They are closed with the pool.
    """

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = tuple(runners)
        # Appending to and popping from a deque are atomic: the semaphore alone is the lock.
        self._idle = deque(self._runners)
        self._places = Semaphore(len(self._runners))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.inputs`."""
        return self._runners[0].inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.outputs`."""
        return self._runners[0].outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """See `Runner.run`."""
        with self._places:
            runner = self._idle.pop()
            try:
                return runner.run(inputs)
            finally:
                self._idle.append(runner)

    @property
    def worker_pid(self) -> int | None:
        """The process that the runners are in; None: this one."""
        return getattr(self._runners[0], "worker_pid", None)

    @property
    def is_lost(self) -> bool:
        """Whether every later call of one of them would raise."""
        return any(getattr(runner, "is_lost", False) for runner in self._runners)

    def close(self) -> None:
        """See `Runner.close`. All are closed, whatever closing one raises."""
        with ExitStack() as closing:
            for runner in self._runners:
                closing.callback(runner.close)
