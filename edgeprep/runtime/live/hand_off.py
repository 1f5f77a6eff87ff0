"""A place between two threads, where one leaves what the other takes."""

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Generic, TypeVar

__all__ = ["HandOff"]

T = TypeVar("T")


class HandOff(Generic[T]):
    """Holds a few things until they are taken, in their order.

    Args:
        most: how many may wait.
        gives_way: whether one that waits gives way to a newer one; where it does not, and the
            place is full, the newer one is not kept. None: whoever puts one there waits for room.

    Attributes:
        dropped: how many were not kept, or gave way.
    """

    def __init__(self, most: int, gives_way: Callable[[T, T], bool] | None = None) -> None:
        self.dropped = 0
        self._most = most
        self._gives_way = gives_way
        self._waiting: deque[T] = deque()
        self._changed = Condition()
        self._listeners: list[Callable[[], object]] = []
        self._fault: BaseException | None = None
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many wait to be taken."""
        # NOTE: without the lock, as `dropped`: one number is whole, and is old when it is read.
        return len(self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever be taken any more."""
        with self._changed:
            return self._ended and not self._waiting and self._fault is None

    def wait_for_room(self) -> bool:
        """Wait until one may be put there; False where nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._waiting) < self._most)
            return not self._ended

    def put(self, item: T) -> bool:
        """Leave `item`; False where nobody takes any more."""
        with self._changed:
            if self._gives_way is None:
                self._changed.wait_for(lambda: self._ended or len(self._waiting) < self._most)
            if self._ended:
                return False
            if len(self._waiting) < self._most:
                self._waiting.append(item)
            else:
                self.dropped += 1
                if self._gives_way is None or not self._gives_way(self._waiting[0], item):
                    return True
                self._waiting.popleft()
                self._waiting.append(item)
            listeners = self._wake()
        _call(listeners)
        return True

    def take(self) -> T | None:
        """The next one, as soon as it is there; None when it is over.

        Raises:
            BaseException: what `end` was given, once.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return self._next()

    def poll(self) -> T | None:
        """The next one if it is there, without waiting; else None. It raises as `take` does."""
        with self._changed:
            return self._next()

    def end(self, fault: BaseException | None = None) -> None:
        """No more will come; what waits may still be taken, and then `fault` is raised."""
        with self._changed:
            if self._ended:
                return
            self._ended, self._fault = True, fault
            listeners = self._wake()
        _call(listeners)

    def clear(self, fault: BaseException | None = None) -> None:
        """As `end`, and at once: what waits is thrown away."""
        with self._changed:
            self._waiting.clear()
            self._ended, self._fault = True, fault
            listeners = self._wake()
        _call(listeners)

    def listen(self, listener: Callable[[], object]) -> None:
        """Call `listener` once, as soon as `take` need not wait; by any thread, maybe at once."""
        with self._changed:
            if not (self._waiting or self._ended):
                self._listeners.append(listener)
                return
        listener()

    def forget(self, listener: Callable[[], object]) -> None:
        """Call it no more."""
        with self._changed:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def _next(self) -> T | None:
        if self._waiting:
            item = self._waiting.popleft()
            self._changed.notify_all()
            return item
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        return None

    def _wake(self) -> list[Callable[[], object]]:
        self._changed.notify_all()
        listeners, self._listeners = self._listeners, []
        return listeners


def _call(listeners: list[Callable[[], object]]) -> None:
    # Without the lock: a listener may take what is there.
    for listener in listeners:
        listener()
