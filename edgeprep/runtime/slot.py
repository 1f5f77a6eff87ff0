"""One link of a fallback chain, and how it has fared."""

from collections import deque
from threading import Lock
from typing import Literal

from msgspec import Struct

from edgeprep.errors import (
    BackendCrashed,
    BackendError,
    BackendTimeout,
    BackendWrongOutput,
    ClosedError,
    EdgePrepError,
)
from edgeprep.runtime.health import LinkHealth, LinkState
from edgeprep.runtime.links import Engine, Link

__all__ = ["INTERVAL_S", "MOST_FAILURES", "Held", "Slot", "has_waited", "reason_of"]

# A link that fails three times in ten minutes may not answer for ten minutes; and however it has
# recovered, it comes back at most once in ten minutes.
MOST_FAILURES = 3
INTERVAL_S = 600.0
# Where nothing else is left, what failed is tried again after a second, and then after twice as
# long each time.
_LAST_RESORT_S = 1.0
# After these, a runner cannot answer again: it has to be loaded anew.
_FATAL = (BackendCrashed, BackendTimeout, ClosedError)

_State = Literal["cold", "ready", "down", "out"]
_SHOWN: dict[_State, LinkState] = {
    "cold": "waiting",
    "ready": "ready",
    "down": "restarting",
    "out": "out",
}


class Held(Struct, frozen=True, eq=False):
    """What a slot has loaded; another one each time that it loads."""

    slot: "Slot"
    engine: Engine


class Slot:
    """A link with its engine, its failures, and since when it may not answer.

    It has no lock of its own for what it knows: whoever changes it holds that of the chain.

    Args:
        link: the candidate.
        held: whether it is loaded already, and with what.

    Attributes:
        loading: held while its engine is loaded. Nothing else is waited for with it in hand but the
            lock of the chain.
        held: what is loaded; None: nothing.
        state: "cold": it was never needed. "ready": it may answer. "down": its process died, and it
            may be loaded again. "out": it may not answer until it is forgiven.
        fault: the last thing that went wrong.
        sample: the golden sample that comes next.
        attempts: how often it could not be loaded.
        failed: how often it has failed; calls that were under way at once count together.
    """

    def __init__(self, link: Link, engine: Engine | None = None) -> None:
        self.link = link
        self.loading = Lock()
        self.held = None if engine is None else Held(self, engine)
        self.state: _State = "cold" if engine is None else "ready"
        self.fault: Exception | None = None
        self.sample = 0
        self.attempts = 0
        self.failed = 0
        self._failures: deque[float] = deque()
        self._since = 0.0
        self._returned: float | None = None

    def failures(self, now: float) -> int:
        """How many there were in the last ten minutes."""
        # NOTE: a clock that was put back makes what is ahead of it no failure of these minutes.
        while self._failures and not 0 <= now - self._failures[0] < INTERVAL_S:
            self._failures.popleft()
        return len(self._failures)

    def fail(
        self, fault: Exception, now: float, *, at_once: bool = False, began: int | None = None
    ) -> Engine | None:
        """It failed; what is to be closed, as it may not be used again.

        Args:
            fault: what went wrong.
            now: by the clock of the chain.
            at_once: whether it may not answer any more, however few failures there were.
            began: what `failed` was when the call began that failed. One fault of a device or of a
                batch ends all calls that are under way: only the first of them counts.
        """
        if began is None or began == self.failed or self._is_another_batch(fault):
            self.failed += 1
            self._failures.append(now)
        self.fault = fault
        if at_once or self.failures(now) >= MOST_FAILURES:
            self.state = "out"
        elif isinstance(fault, _FATAL) or self._is_lost:
            self.state = "down"
        else:
            return None
        self._since = now
        return self._drop()

    def take(self, engine: Engine, now: float) -> Held:
        """It is loaded, and computes the right numbers."""
        if self.state != "cold":
            self._returned = now
        self.state = "ready"
        self.held = Held(self, engine)
        return self.held

    def let_go(self) -> Engine | None:
        """It is not needed for now; what is to be closed."""
        self.state = "cold"
        return self._drop()

    def wait_s(self, now: float) -> float:
        """In how many seconds it may come back, while something else answers."""
        waited = _since(self._since, now)
        waits = [INTERVAL_S - waited if self.state == "out" else 0.0]
        if self._returned is not None:
            waits.append(INTERVAL_S - _since(self._returned, now))
        return max(0.0, *waits)

    def may_answer(self, now: float, *, last_resort: bool = False) -> bool:
        """Whether a call may go to it that was not answered.

        Args:
            now: by the clock of the chain.
            last_resort: whether nothing else is left.
        """
        if self.state in ("cold", "ready"):
            return True
        if not last_resort:
            return self.wait_s(now) == 0.0
        if self.state == "down":
            return True
        return has_waited(self._since, now, max(self.failures(now) - MOST_FAILURES, 0))

    def health(self, now: float) -> LinkHealth:
        """How it is, for people."""
        reason = "" if self.fault is None or self.state in ("cold", "ready") else self.reason
        return LinkHealth(
            candidate=self.link.candidate,
            state=_SHOWN[self.state],
            reason=reason,
            failures=self.failures(now),
        )

    @property
    def _is_lost(self) -> bool:
        # As a worker's is that was ended because somebody else had stopped it.
        return self.held is not None and getattr(self.held.engine.runner, "is_lost", False)

    def _is_another_batch(self, fault: Exception) -> bool:
        """Whether another call of the engine failed than the last: one of those that had to wait.

        All that were in a batch get an error of their own, with the same one as its cause.
        """
        is_batching = self.held is not None and self.held.engine.runner.batch > 1
        return is_batching and not _causes(fault) & _causes(self.fault)

    def _drop(self) -> Engine | None:
        held, self.held = self.held, None
        return None if held is None else held.engine

    @property
    def reason(self) -> str:
        """What went wrong last."""
        return "" if self.fault is None else reason_of(self.fault)

    @property
    def error(self) -> EdgePrepError:
        """What went wrong last, to be raised again."""
        for kind in (BackendCrashed, BackendTimeout, BackendWrongOutput):
            if isinstance(self.fault, kind):
                return kind(str(self.fault))
        return BackendError(self.reason)


def _causes(fault: BaseException | None) -> set[int]:
    """It and what caused it, by identity."""
    found: set[int] = set()
    while fault is not None and id(fault) not in found:
        found.add(id(fault))
        fault = fault.__cause__
    return found


def has_waited(then: float, now: float, tries: int) -> bool:
    """Whether what is tried as the last resort, and was in vain so often, may be tried again."""
    return _since(then, now) >= min(_LAST_RESORT_S * 2.0 ** min(tries, 10), INTERVAL_S)


def reason_of(fault: Exception) -> str:
    """What a fault says, as verdicts have it."""
    return str(fault) if isinstance(fault, EdgePrepError) else repr(fault)


def _since(then: float, now: float) -> float:
    """Seconds since `then`; long ago where the clock was put back, which locks nothing out."""
    return now - then if now >= then else INTERVAL_S
