"""What is done beside the calls of a fallback chain, when it is due."""

from collections.abc import Callable

from edgeprep.runtime.background import Background
from edgeprep.runtime.golden import wrong_numbers
from edgeprep.runtime.recheck import Recheck
from edgeprep.runtime.roster import Roster
from edgeprep.runtime.slot import INTERVAL_S, Held

__all__ = ["Tending"]


class Tending:
    """Links come back, golden samples are reproduced again, stand-ins are loaded and closed.

    Args:
        roster: the links.
        recheck: how often golden samples are reproduced again; None: never.
        warm: whether one more link stays loaded, so that no call waits for it.
        clock: seconds, which never go back.

    Attributes:
        background: the thread in which it is done.
    """

    def __init__(
        self, roster: Roster, *, recheck: Recheck | None, warm: bool, clock: Callable[[], float]
    ) -> None:
        self._roster = roster
        self._recheck = recheck
        self._is_warm = warm
        self._clock = clock
        self.background = Background(self._tend)
        # Calls are counted without a lock: that a few are missed changes nothing.
        self._runs = 0
        self._recheck_at = 0.0
        self._rechecked_s = self._planned_s = clock()
        self._plan_s = INTERVAL_S
        self._checked()
        if self._is_warm:
            self._plan_s = 0.0  # the first call is soon enough

    def ran(self, calls: int) -> None:
        """Count what was answered; and do beside calls what is due."""
        self._runs += calls
        # NOTE: not `>= self._plan_s` alone: a clock that was put back makes all of it due.
        if (
            self._runs >= self._recheck_at
            or not 0.0 <= self._clock() - self._planned_s < self._plan_s
        ):
            self.background.start()

    def plan(self) -> None:
        """When there is something to do beside calls; at once where it is due."""
        now = self._clock()
        ready, wait_s = self._roster.due()
        if self._recheck is not None:
            wait_s = min(wait_s, self._rechecked_s + self._recheck.minutes * 60 - now)
        self._planned_s, self._plan_s = now, wait_s
        if ready:
            self.background.start()

    def replace_spare(self) -> None:
        """What was to stand in answers: another one is made ready, where one is kept."""
        if self._is_warm:
            self.background.start()

    def is_right(self, held: Held, samples: int) -> bool:
        """Whether `held` reproduces the next golden samples; if not, it may not answer any more."""
        slot, engine = held.slot, held.engine
        errors = []
        failed = slot.failed
        self._checked()
        try:
            for _ in range(min(samples, engine.samples)):
                slot.sample = (slot.sample + 1) % engine.samples
                errors.append(engine.error(slot.sample))
        except Exception as fault:  # noqa: BLE001 -- an engine's fault, which is told
            self._roster.failed_check(held, fault, failed)
            return False
        error = max(errors)
        if self._roster.checked(held, error):
            return True
        allowed = slot.link.allowed
        wrong = wrong_numbers(error, allowed)
        self._roster.leave(held, wrong, "golden", error=error, allowed=allowed, right=False)
        return False

    def _tend(self) -> None:
        for slot in self._roster.due()[0]:
            if self._roster.load(slot) is not None:
                break
        self._roster.settle()
        held = self._roster.now
        if held is not None and self._is_recheck_due() and self._recheck is not None:
            self.is_right(held, self._recheck.samples)
        if self._is_warm and not self._roster.has_spare:
            next(self._roster.others({self._roster.answering}), None)
        self._roster.rest(spare=int(self._is_warm))
        self.plan()

    def _is_recheck_due(self) -> bool:
        if self._recheck is None:
            return False
        waited = self._clock() - self._rechecked_s
        return self._runs >= self._recheck_at or not 0 <= waited < self._recheck.minutes * 60

    def _checked(self) -> None:
        """From here on it is counted when golden samples are to be reproduced again."""
        self._rechecked_s = self._clock()
        self._recheck_at = self._runs + self._recheck.runs if self._recheck else float("inf")
        self.plan()
