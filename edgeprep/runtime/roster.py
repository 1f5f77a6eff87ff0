"""Who may answer: the links of a fallback chain, and which of them does."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any

from edgeprep.errors import BackendWrongOutput, ClosedError
from edgeprep.last_moment import THE_END
from edgeprep.monitor import EventKind, Events
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.golden import wrong_numbers
from edgeprep.runtime.health import GoldenCheck, Health, State
from edgeprep.runtime.links import Engine, Link
from edgeprep.runtime.release import close
from edgeprep.runtime.slot import INTERVAL_S, Held, Slot, has_waited
from edgeprep.runtime.telling import Telling

__all__ = ["Roster"]


class Roster:
    """The links of one chain, in the order in which they are asked; any thread may use it.

    Two kinds of locks: one for what is known, held for moments; and one for each link, held while
    it is loaded. The first may be taken with the second in hand, never the other way round, and
    neither is held while an engine runs or a listener is told.

    Args:
        link: what was chosen.
        engine: it, loaded and proven.
        others: what is asked in its place, in this order.
        more: called once, when those cannot answer: what else there is.
        where: the session, for messages.
        label: goes before the names of candidates.
        events: is told what happens.
        crashed: called with a link's candidate that may not answer any more, and with why, which
            may be a crash; None: nobody is.
        clock: seconds, which never go back.

    Attributes:
        now: what answers; None: nothing is loaded that may.
        answering: the link that answers; where none does, the one that did so last.
        loads: how often a link was loaded.
    """

    def __init__(
        self,
        link: Link,
        engine: Engine,
        *,
        others: Sequence[Link],
        more: Callable[[], Sequence[Link]] | None,
        where: str,
        label: str,
        events: Events,
        crashed: Callable[[Candidate, Exception], object] | None,
        clock: Callable[[], float],
    ) -> None:
        self._chosen = Slot(link, engine)
        self._slots = [self._chosen, *map(Slot, others)]
        self._more = more
        self._more_tries = 0
        self._more_at = clock()
        self._where = where
        self._events = events
        self._crashed = crashed or (lambda candidate, fault: None)
        self._clock = clock
        self.now: Held | None = self._chosen.held
        self.answering = self._chosen
        self.loads = 0
        self._is_closed = False
        self._lock = Lock()
        self._extending = Lock()
        self._telling = Telling(events, self._lock, label)
        self._golden: GoldenCheck | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The links, in their order."""
        with self._lock:
            return tuple(self._slots)

    def others(self, tried: set[Slot]) -> Iterator[Held]:
        """What else could answer a call, loaded and proven, one after another.

        Args:
            tried: links that are not asked; those that are given are added.

        Raises:
            ClosedError: the chain was closed.
        """
        while (slot := self._next(tried)) is not None:
            tried.add(slot)
            held = self.load(slot)
            if held is not None:
                yield held

    def load(self, slot: Slot) -> Held | None:
        """What `slot` has loaded, if that computes the right numbers; else it is out.

        Raises:
            ClosedError: the chain was closed.
        """
        with self._lock:
            attempt = slot.attempts
        with slot.loading:
            with self._lock:
                self._check_open()
                if slot.held is not None:
                    return slot.held
                if slot.attempts != attempt:  # by another thread, just now, and in vain
                    return None
                known = slot.link.proven and slot.state == "cold"
            engine: Engine | None = None
            try:
                engine = slot.link.load()
                # What was never proven here, or has failed, has to reproduce all of them.
                error = engine.error(0) if known else slot.link.prove(engine)
                if not error <= slot.link.allowed:
                    raise wrong_numbers(error, slot.link.allowed)
            except Exception as fault:  # noqa: BLE001 -- an engine's fault, which is told
                if engine is not None:
                    close(engine.runner)
                self._refuse(slot, fault)
                return None
            with self._lock:
                if not self._is_closed:
                    return self._take(slot, engine)
            close(engine.runner)
            raise self._closed()

    def blame(self, held: Held, fault: Exception, failed: int) -> None:
        """A call on `held` failed with `fault`.

        Args:
            held: what did.
            fault: with what.
            failed: what `held.slot.failed` was when the call began.

        Raises:
            ClosedError: the chain was closed.
        """
        with self._lock:
            self._check_own(fault)
            if held.slot.held is not held:  # others have seen it die, too
                return
            engine = held.slot.fail(fault, self._clock(), began=failed)
            if engine is not None and self.now is held:
                self.now = None
        if engine is not None:
            close(engine.runner)
            if held.slot.state == "out":
                self._crashed(held.slot.link.candidate, fault)

    def answered(self, faults: Sequence[tuple[Slot, Exception]], by: Slot | None) -> None:
        """A call was answered by `by` after these faults; None: it was not answered."""
        now = self._clock()
        with self._lock:
            for slot, fault in faults:
                self._telling.failed_call(slot, fault, slot.failures(now), by)
            self._settle()
        self._telling.tell()

    def failed_check(self, held: Held, fault: Exception, failed: int) -> None:
        """`held` failed with `fault` when golden samples were reproduced; another one is ready.

        Raises:
            ClosedError: the chain was closed.
        """
        self.blame(held, fault, failed)
        with self._lock:
            self._telling.failed_check(held.slot, fault, held.slot.failures(self._clock()))
            lost = self.now is None
        if lost:
            next(self.others({held.slot}), None)
        self.settle()

    def leave(self, held: Held, fault: Exception, kind: EventKind, **details: Any) -> None:
        """`held` may not answer any more, at once; the next link is made ready."""
        with self._lock:
            if self._is_closed or held.slot.held is not held:
                return
            engine = held.slot.fail(fault, self._clock(), at_once=True)
            if self.now is held:
                self.now = None
            self._telling.is_left(kind, held.slot, fault, **details)
        if engine is not None:
            close(engine.runner)
        next(self.others({held.slot}), None)
        self.settle()

    def settle(self) -> None:
        """The first link that is loaded and may answer does so from now on."""
        with self._lock:
            self._settle()
        self._telling.tell()

    def due(self) -> tuple[list[Slot], float]:
        """The links before the one that answers which may come back; and when the next one may.

        Returns:
            The links; and seconds, which may be infinite, until there are more.
        """
        now, ready, waits = self._clock(), [], []
        with self._lock:
            for slot in self._slots:
                if slot is self.answering and self.now is not None:
                    break
                if slot.state in ("down", "out"):
                    wait = slot.wait_s(now)
                    waits.append(wait)
                    if not wait:
                        ready.append(slot)
        return ready, min(waits, default=INTERVAL_S)

    @property
    def has_spare(self) -> bool:
        """Whether something is loaded that could take over."""
        with self._lock:
            return any(slot.held and slot is not self.answering for slot in self._slots)

    def rest(self, *, spare: int = 0) -> None:
        """Let go of what stood in for what answers, but for the first `spare`, after long."""
        now = self._clock()
        idle: list[Engine | None] = []
        with self._lock:
            if self.now is not None and not any(slot.failures(now) for slot in self._slots):
                after = self._slots[self._slots.index(self.answering) + 1 :]
                ready = [slot for slot in after if slot.state == "ready"]
                idle += [slot.let_go() for slot in ready[spare:]]
        for engine in idle:
            if engine is not None:
                close(engine.runner)

    def checked(self, held: Held, error: float) -> bool:
        """Whether `error` on golden samples is what `held` may have; it is remembered."""
        allowed = held.slot.link.allowed
        candidate, now = held.slot.link.candidate, self._clock()
        check = GoldenCheck(candidate=candidate, at_s=now, error=error, allowed=allowed)
        with self._lock:
            self._golden = check
        return check.right

    @property
    def golden(self) -> GoldenCheck | None:
        """The last check of what answers."""
        return self._golden

    def health(self) -> Health:
        """How the chain is."""
        now = self._clock()
        with self._lock:
            links = tuple(slot.health(now) for slot in self._slots)
            held, golden = self.now, self._golden
        state: State = "failed"
        answering: Candidate | None = None
        if held is not None:
            answering = held.slot.link.candidate
            state = "ok" if held.slot is self._chosen else "degraded"
        return Health(
            state=state,
            chosen=self._chosen.link.candidate,
            answering=answering,
            failures=sum(link.failures for link in links),
            golden=golden,
            links=links,
            events=self._events.counts,
        )

    def close(self) -> None:
        """Let go of everything that is loaded. Calling it again does nothing."""
        with self._lock:
            self._is_closed = True
            self.now = None
            held = [slot.held for slot in self._slots]
            for slot in self._slots:
                slot.held = None
        for each in held:
            if each is not None:
                close(each.engine.runner)

    def _next(self, tried: set[Slot]) -> Slot | None:
        """What to ask next: what is loaded, what may be, and what there is as the last resort."""
        slot = self._first(tried, last_resort=False)
        if slot is None:
            self._extend()
            slot = self._first(tried, last_resort=False) or self._first(tried, last_resort=True)
        return slot

    def _first(self, tried: set[Slot], *, last_resort: bool) -> Slot | None:
        now = self._clock()
        with self._lock:
            self._check_open()
            left = [slot for slot in self._slots if slot not in tried]
            if last_resort and any(slot.may_answer(now) for slot in self._slots):
                # What has failed this call may answer the next one: what failed too often waits,
                # and what died is asked, as it was to wait for the sake of quiet alone.
                left = [slot for slot in left if slot.state == "down"]
            able = [slot for slot in left if slot.may_answer(now, last_resort=last_resort)]
            # What is loaded first, then what never failed.
            able.sort(key=lambda slot: (slot.held is None, slot.state != "cold"))
            return able[0] if able else None

    def _extend(self) -> None:
        """Find what else there is; where that fails, again after a while, as links are."""
        with self._extending:
            waits = self._more_tries and not has_waited(
                self._more_at, self._clock(), self._more_tries - 1
            )
            if self._more is None or waits:
                return
            try:
                links = self._more()
            except Exception as fault:  # noqa: BLE001 -- of backends and files, which is told
                self._more_tries += 1
                self._more_at = self._clock()
                with self._lock:
                    if not self._is_closed:  # else it failed because of that
                        self._telling.found_no_more(self._where, fault)
                return
            self._more = None
            with self._lock:
                self._slots += map(Slot, links)

    def _take(self, slot: Slot, engine: Engine) -> Held:
        if isinstance(slot.fault, BackendWrongOutput):
            self._telling.is_right_again(slot)
        slot.fault = None
        self._telling.is_loaded()
        self.loads += 1
        return slot.take(engine, self._clock())

    def _refuse(self, slot: Slot, fault: Exception) -> None:
        with self._lock:
            self._check_own(fault)
            kind: EventKind = "verdict" if slot.state == "cold" else "failure"
            slot.attempts += 1
            slot.fail(fault, self._clock(), at_once=True)
            self._telling.cannot_answer(kind, slot, fault)
        self._crashed(slot.link.candidate, fault)

    def _settle(self) -> None:
        if self._is_closed:
            return
        before, waited = self.answering, self.now is None
        able = (slot.held for slot in self._slots if slot.state == "ready")
        self.now = held = next((each for each in able if each is not None), None)
        if held is None or (held.slot is before and not waited):
            return
        self.answering = slot = held.slot
        if self._slots.index(slot) > self._slots.index(before):
            self._telling.falls_back(slot, before)
        else:
            self._telling.is_restored(slot, before)

    def _check_own(self, fault: Exception) -> None:
        """Refuse what failed because the chain was closed, or the program has ended."""
        if self._is_closed or (THE_END.is_over and isinstance(fault, ClosedError)):
            raise self._closed() from fault

    def _check_open(self) -> None:
        if self._is_closed:
            raise self._closed()

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self._where}: must be open, got a call after close()")
