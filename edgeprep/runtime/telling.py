"""What has happened to the links of a chain: noted with its lock in hand, told without it."""

from collections import deque
from threading import Lock
from typing import Any

from edgeprep.errors import BundleError, StorageError
from edgeprep.monitor import Event, EventKind, Events
from edgeprep.runtime.slot import Slot, reason_of

__all__ = ["Telling"]


class Telling:
    """Events in the order in which they happened, whichever thread tells them.

    Args:
        events: is told.
        lock: the chain's. Whoever notes has it in hand; whoever tells has not.
        label: goes before the names of candidates.
    """

    def __init__(self, events: Events, lock: Lock, label: str) -> None:
        self._events = events
        self._lock = lock
        self._label = label
        self._untold: deque[Event] = deque()
        self._is_telling = False
        self._unreadable = ""

    def tell(self) -> None:
        """Tell what was noted, with no lock in hand."""
        while True:
            with self._lock:
                # Where a listener uses the session, the call that told it tells the rest.
                if self._is_telling or not self._untold:
                    return
                self._is_telling = True
                event = self._untold.popleft()
            try:
                self._events.tell(event)
            finally:
                with self._lock:
                    self._is_telling = False

    def failed_call(self, slot: Slot, fault: Exception, failures: int, by: Slot | None) -> None:
        """A call on `slot` failed, and was answered by `by`; None: by nothing."""
        who = "" if by is None else self._name(by)
        self._failed(slot, fault, failures, f"{who or 'nothing'} answered", who)

    def failed_check(self, slot: Slot, fault: Exception, failures: int) -> None:
        """`slot` failed when golden samples were reproduced."""
        self._failed(slot, fault, failures, "no call was lost", "")

    def is_left(self, kind: EventKind, slot: Slot, fault: Exception, **details: Any) -> None:
        """`slot` may not answer any more, for `fault`."""
        message = f"{self._name(slot)} may not answer: {reason_of(fault)}"
        self._note(kind, slot, message, **details)

    def cannot_answer(self, kind: EventKind, slot: Slot, fault: Exception) -> None:
        """`slot` could not be loaded, or was not right.

        Where the bundle cannot be read any more that is told once, until one could be loaded.
        """
        if isinstance(fault, BundleError | StorageError):
            if self._unreadable != reason_of(fault):
                self._unreadable = reason_of(fault)
                message = f"{self._label}candidates cannot be loaded: {self._unreadable}"
                self._note(kind, None, message, error=type(fault).__name__, answered_by="")
            return
        message = f"{self._name(slot)} cannot answer: {reason_of(fault)}"
        self._note(kind, slot, message, error=type(fault).__name__, answered_by="")

    def is_loaded(self) -> None:
        """One could be loaded."""
        self._unreadable = ""

    def is_right_again(self, slot: Slot) -> None:
        """`slot`, which was left for wrong numbers, is loaded and right."""
        message = f"{self._name(slot)} computes the right numbers again"
        self._note("golden", slot, message, right=True)

    def falls_back(self, slot: Slot, before: Slot) -> None:
        """`slot` answers, which is after `before` in the chain."""
        message = f"{self._name(slot)} answers from now on, not {self._name(before)}"
        if before.fault is not None:
            message = f"{message}: {before.reason}"
        self._note("fallback", slot, message, instead_of=self._name(before))

    def is_restored(self, slot: Slot, before: Slot) -> None:
        """`slot` answers again, which is `before` or stands before it in the chain."""
        instead = "" if slot is before else f", not {self._name(before)}"
        message = f"{self._name(slot)} answers again{instead}"
        self._note("restored", slot, message, instead_of=self._name(before))

    def found_no_more(self, where: str, fault: Exception) -> None:
        """It could not be found out what else could answer in the session `where`."""
        message = f"{where}: no further candidates were found: {reason_of(fault)}"
        self._note("failure", None, message, error=type(fault).__name__)

    def _failed(
        self, slot: Slot, fault: Exception, failures: int, words: str, answered_by: str
    ) -> None:
        message = f"{self._name(slot)} failed: {reason_of(fault)}; {words}"
        details = {"error": type(fault).__name__, "failures": failures, "answered_by": answered_by}
        self._note("failure", slot, message, **details)

    def _note(self, kind: EventKind, slot: Slot | None, message: str, **details: Any) -> None:
        name = "" if slot is None else self._name(slot)
        self._untold.append(Event(kind=kind, message=message, candidate=name, details=details))

    def _name(self, slot: Slot) -> str:
        return f"{self._label}{slot.link.candidate}"
