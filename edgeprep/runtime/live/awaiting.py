"""Event loops: waiting for threads, and calls that threads make for them."""

import asyncio
import atexit
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Condition, Thread, current_thread
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from edgeprep.errors import BackendError
from edgeprep.last_moment import THE_END
from edgeprep.processor import available_cpus
from edgeprep.runtime.live.starting import start

__all__ = ["dismiss", "run", "wait_for"]

Listener = Callable[[], object]
# One for each core, and one that waits for a device meanwhile; more would but take turns.
_MOST_THREADS = min(16, available_cpus() + 1)
# A thread without work ends after so many seconds.
_IDLE_S = 2.0
_GOODBYE_S = 1.0


async def wait_for(listen: Callable[[Listener], None], forget: Callable[[Listener], None]) -> None:
    """Wait until a listener is called, by any thread; the loop goes on meanwhile.

    Args:
        listen: is given the listener.
        forget: likewise, when nobody waits any more.
    """
    loop = asyncio.get_running_loop()
    called: asyncio.Future[None] = loop.create_future()

    def listener() -> None:
        _tell(loop, partial(_settle, called, called.set_result, None))

    listen(listener)
    try:
        await called
    finally:
        forget(listener)


async def run(owner: object, call: Callable[[], Any], *, crowd: int = 1) -> Any:
    """What `call` gives, made by one of the threads of `owner`.

    Args:
        owner: what they work for.
        call: may be made in any thread.
        crowd: how many calls at once keep `owner` busy.

    Raises:
        BackendError: the system has no thread for it.
        BaseException: what it raises.
    """
    crew = _crew_of(owner)
    work = _Work(asyncio.get_running_loop(), call)
    crew.add(work, most=max(_MOST_THREADS, crowd))
    try:
        return await work.done
    finally:
        crew.remove(work)


def dismiss(owner: object) -> None:
    """Let the threads of `owner` end as soon as they have no work, and not a while later."""
    crew = _CREWS.get(owner)
    if crew is not None:
        crew.dismiss()


class _Work:
    """A call that somebody awaits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
        self.done: asyncio.Future[Any] = loop.create_future()
        self._loop = loop
        self._call = call

    def __call__(self) -> None:
        try:
            result = self._call()
        except StopIteration as error:
            # NOTE: a future takes none, and whoever awaits it would wait for ever.
            fault = RuntimeError("session.answer: a call raised StopIteration")
            fault.__cause__ = error
            _tell(self._loop, partial(_settle, self.done, self.done.set_exception, fault))
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is awaited
            _tell(self._loop, partial(_settle, self.done, self.done.set_exception, error))
        else:
            _tell(self._loop, partial(_settle, self.done, self.done.set_result, result))


class _Crew:
    """Threads that come when there is work, and go when there is none."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._waiting: deque[_Work] = deque()
        self._changed = Condition()
        self._threads: set[Thread] = set()
        self._idle = 0
        self._ended = False

    def add(self, work: _Work, *, most: int) -> None:
        """Have `work` done by one of at most so many threads.

        Raises:
            BackendError: there is none, and the system has none left.
        """
        with self._changed:
            self._waiting.append(work)
            if len(self._waiting) > self._idle and len(self._threads) < most:
                thread = Thread(target=self._work, name="edgeprep answers", daemon=True)
                try:
                    start(thread, "session.answer")
                except BackendError:
                    # Where there are others, one of them comes to it.
                    if not self._threads:
                        self._waiting.remove(work)
                        raise
                else:
                    self._threads.add(thread)
            self._changed.notify()

    def remove(self, work: _Work) -> None:
        """Nobody awaits it any more."""
        with self._changed, suppress(ValueError):
            self._waiting.remove(work)

    def dismiss(self) -> None:
        """No thread waits for more work."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def end(self) -> None:
        """As `dismiss`; and what waits is never done."""
        with self._changed:
            self._waiting.clear()
        self.dismiss()

    def join(self, until_s: float) -> None:
        for thread in list(self._threads):
            thread.join(max(until_s - monotonic(), 0.0))

    def _work(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work

    def _next(self) -> _Work | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._ended, _IDLE_S)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads = {one for one in self._threads if one is not current_thread()}
            return None


# By what they belong to, which holds neither them nor is held by them.
_CREWS: "WeakKeyDictionary[object, _Crew]" = WeakKeyDictionary()
_ALL: "WeakSet[_Crew]" = WeakSet()


def _crew_of(owner: object) -> _Crew:
    crew = _CREWS.get(owner)
    if crew is None:
        # Two loops in two threads may both make one; the first stays.
        crew = _CREWS.setdefault(owner, _Crew())
        _ALL.add(crew)
    return crew


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: object) -> None:
    # One that was cancelled has its outcome.
    if not future.done():
        settle(outcome)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    # A loop that is closed has nobody who waits.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


@atexit.register
def _end_all() -> None:
    """At the end of the process: threads that are inside an engine would die there."""
    # NOTE: a fork has none of them, and locks may be held by those that it has not.
    crews = [crew for crew in _ALL if crew.pid == os.getpid()]
    for crew in crews:
        crew.end()
    THE_END.begin()
    until_s = monotonic() + THE_END.left_s(_GOODBYE_S)
    for crew in crews:
        crew.join(until_s)
