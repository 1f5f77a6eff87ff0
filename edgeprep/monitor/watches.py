"""What one session watches: each of its streams by itself, and its calls."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from edgeprep.bundle import Reference
from edgeprep.interfaces import Task
from edgeprep.monitor.events import Events
from edgeprep.monitor.watch import Watch
from edgeprep.tensors import Color

if TYPE_CHECKING:
    from edgeprep.monitor.drift import DriftReport

__all__ = ["Origin", "Watches"]

# Of streams that have ended: what they left is known for so many.
_ENDED = 64


class Origin:
    """Where the pictures of one stream come from; it lives as long as the stream.

    Args:
        name: of a camera, an address or a film, as it may be shown; "" for pictures of the caller.
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str = "") -> None:
        self.name = name


class Watches:
    """A `Watch` for the calls of a session, and one for each of its streams. For any threads.

    Streams of one name share theirs, as a camera that was lost and opened again is the same one.
    Pictures of the caller have no name: the first such stream is watched together with the calls,
    others that run at the same time are "pictures#1", "pictures#2" and so on.

    Args:
        reference: what pictures were like; None: not known, and nothing is told.
        color: what the channels of what the graph takes mean.
        task: says which classes a result has.
        events: are told.
        clock: gives seconds that never go back.
    """

    def __init__(
        self,
        reference: Reference | None,
        color: Color,
        task: Task,
        events: Events,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._make = partial(Watch, reference, color, task, events, clock)
        self._calls = self._make()
        self._by_name = {"": self._calls}
        self._by_origin: WeakKeyDictionary[Origin, Watch] = WeakKeyDictionary()
        self._forgotten = 0
        self._lock = Lock()

    def of(self, origin: Origin | None) -> Watch:
        """What watches the stream of `origin`; None: the calls."""
        if origin is None:
            return self._calls
        # NOTE: without the lock, as every picture comes by; whoever finds nothing looks again.
        if (known := self._by_origin.get(origin)) is not None:
            return known
        with self._lock:
            watch = self._by_origin.get(origin)
            if watch is None:
                watch = self._by_origin[origin] = self._named(origin.name or self._free_name())
            return watch

    @property
    def report(self) -> "DriftReport":
        """What is known now of all of them together, and of each stream by itself."""
        from msgspec.structs import replace

        from edgeprep.monitor.drift import join_reports

        with self._lock:
            watches, forgotten = dict(self._by_name), self._forgotten
        found = {name: watch.report for name, watch in watches.items()}
        together = join_reports(list(found.values()))
        streams = {name: each.faults for name, each in found.items() if name and each.faults}
        return replace(together, looked_at=together.looked_at + forgotten, streams=streams)

    def _named(self, name: str) -> Watch:
        # The latest is the last, and the first that has ended is forgotten first.
        watch = self._by_name.pop(name, None) or self._make(name=name)
        self._by_name[name] = watch
        held = self._held()
        ended = [each for each in self._by_name if each and each not in held and each != name]
        for each in ended[: max(len(ended) - _ENDED, 0)]:
            self._forgotten += self._by_name.pop(each).report.looked_at
        return watch

    def _free_name(self) -> str:
        held, number = self._held(), 0
        while (name := f"pictures#{number}" if number else "") in held:
            number += 1
        return name

    def _held(self) -> set[str]:
        return {watch.name for watch in self._by_origin.values()}
