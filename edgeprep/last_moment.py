"""How the program ends: in which order, and one deadline for all that it waits for."""

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from threading import current_thread
from time import monotonic
from typing import Literal, get_args

__all__ = ["LAST_S", "THE_END", "LastMoment", "Step"]

# What is stopped in the midst of an engine may take the process down with it, so it is waited for;
# but who ends a program does not want to wait, whatever hangs.
LAST_S = 2.0

# After all calls were waited for, in this order: processes of its own are ended, threads that work
# beside calls, also in those, are waited for, and what marks them as alive is taken away.
Step = Literal["processes", "threads", "marks"]


class LastMoment:
    """The deadline, which the first sets that waits at the end of the program; and what is last.

    Attributes:
        is_over: whether calls were waited for, and processes are ended.
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._steps: dict[Step, list[Callable[[], object]]] = {step: [] for step in get_args(Step)}
        self.is_over = False

    def begin(self) -> None:
        """The program ends: `LAST_S` from now on, unless somebody has said so before."""
        if self._at is None:
            self._at = monotonic() + LAST_S

    def left_s(self, most_s: float = LAST_S) -> float:
        """How many seconds may be waited for something: `most_s`, or what is left at the end."""
        if self._at is None:
            return most_s
        return min(most_s, max(0.0, self._at - monotonic()))

    def add(self, step: Step, call: Callable[[], object]) -> None:
        """Make `call` at that step, after all that importers of this have given to `atexit`."""
        self._steps[step].append(call)

    def finish(self) -> None:
        """Take the steps; what one of them raises keeps none of the others back."""
        self.begin()
        self.is_over = True
        with ExitStack() as steps:
            calls = [call for step in get_args(Step) for call in self._steps[step]]
            for call in reversed(calls):
                steps.callback(call)

    def leave(self, error: Exception) -> None:
        """Where the program has ended what this thread works with: nothing of that is a fault.

        Raises:
            SystemExit: in a daemon thread, which ends by it without a word. Any other would be
                taken for an engine's fault by those who mend such.
            Exception: `error`, in the thread that ends the program.
        """
        if self.is_over:
            raise SystemExit if current_thread().daemon else error


THE_END = LastMoment()
# NOTE: here, as who imports this is asked before: what is registered last is called first.
atexit.register(THE_END.finish)
