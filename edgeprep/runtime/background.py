"""Work beside calls, in a thread that is there only while there is something to do."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from weakref import WeakMethod, WeakSet

from edgeprep.errors import ClosedError
from edgeprep.last_moment import THE_END

__all__ = ["Background"]

_under_way: WeakSet[Thread] = WeakSet()


class Background:
    """Does some work in a thread of its own, once at a time.

    Args:
        work: a method, whose object is not kept alive by this. A ClosedError ends it quietly: what
            it works on was closed meanwhile.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = WeakMethod(work)
        self._lock = Lock()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Do it, unless that is under way; where no thread can be started, another time."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is not None:
                return
            self._thread = thread = Thread(target=self._run, name="edgeprep-tend", daemon=True)
        _under_way.add(thread)
        try:
            thread.start()
        except RuntimeError:  # there are too many threads, or the program ends
            self._thread = None

    def wait(self) -> None:
        """Until nothing is under way."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            work = self._work()
            if work is not None:
                work()
        except ClosedError:
            pass
        finally:
            self._thread = None


def _wait_for_the_last() -> None:
    THE_END.begin()
    for thread in list(_under_way):
        with suppress(RuntimeError):  # it was just about to be started
            thread.join(THE_END.left_s())


THE_END.add("threads", _wait_for_the_last)
