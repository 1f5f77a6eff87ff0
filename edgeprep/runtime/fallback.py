"""A runner that goes on answering: where one candidate fails, the next one does."""

from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import Any

from numpy.typing import NDArray

from edgeprep.errors import BackendError, NoUsableBackend
from edgeprep.interfaces import Runner
from edgeprep.monitor import Events
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.health import Health
from edgeprep.runtime.links import Engine, Link
from edgeprep.runtime.recheck import Recheck
from edgeprep.runtime.roster import Roster
from edgeprep.runtime.slot import Held, Slot, reason_of
from edgeprep.runtime.tending import Tending
from edgeprep.tensors import TensorSpec

__all__ = ["FallbackRunner"]

Arrays = tuple[NDArray[Any], ...]

# A network whose own numbers are not finite would ask for a golden check with every picture.
_DOUBT_S = 1.0


class FallbackRunner(Runner):
    """A chain of candidates of one placement: what was chosen, and what is asked in its place.

    A call that fails is answered by the next link. A link that fails three times in ten minutes, or
    computes wrong numbers, may not answer for ten minutes, and then has to reproduce all golden
    samples first. One whose process died is loaded again beside the calls. What answers is held to
    golden samples again and again. Each change of what answers is an event.

    Args:
        link: what was chosen.
        engine: it, loaded and proven.
        others: what is asked in its place, in this order.
        more: called once, when those cannot answer: what else there is.
        where: the session, for messages.
        label: of an ensemble, which of its members this is; goes before the names of candidates.
        events: is told what happens.
        strict: whether what goes wrong reaches the caller; there are no others then.
        warm: whether one more link stays loaded, so that no call waits for it.
        recheck: how often golden samples are reproduced again; None: never.
        verdicts: why all else is no link, for the message where nothing can answer.
        release: called when it is closed.
        crashed: called with a candidate that may not answer any more, and with why, which may be a
            crash; None: nobody is.
        clock: seconds, which never go back.
    """

    def __init__(
        self,
        link: Link,
        engine: Engine,
        *,
        others: Sequence[Link] = (),
        more: Callable[[], Sequence[Link]] | None = None,
        where: str,
        label: str = "",
        events: Events,
        strict: bool = False,
        warm: bool = False,
        recheck: Recheck | None = None,
        verdicts: Sequence[Outcome] = (),
        release: Callable[[], object] | None = None,
        crashed: Callable[[Candidate, Exception], object] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._roster = Roster(
            link,
            engine,
            others=() if strict else others,
            more=None if strict else more,
            where=where,
            label=label,
            events=events,
            crashed=crashed,
            clock=clock,
        )
        self._inputs, self._outputs = engine.runner.inputs, engine.runner.outputs
        self._where = where
        self._release = release
        self._strict = strict
        self._verdicts = tuple(verdicts)
        self._clock = clock
        self._tending = Tending(
            self._roster, recheck=recheck, warm=warm and not strict, clock=clock
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.inputs`."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.outputs`."""
        return self._outputs

    @property
    def answering(self) -> Candidate:
        """What answers now; where nothing can, what did so last."""
        return self._roster.answering.link.candidate

    def health(self) -> Health:
        """How the chain is."""
        return self._roster.health()

    def run(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        """See `Runner.run`.

        Raises:
            ClosedError: it was closed.
            NoUsableBackend: no link can answer; the message names each with its reason.
        """
        held = self._roster.now
        if held is None:
            return self._rescue(inputs, None, None)
        failed = held.slot.failed
        try:
            outputs = held.engine.runner.run(inputs)
        except Exception as fault:  # noqa: BLE001 -- an engine's fault, which the next one mends
            return self._rescue(inputs, held, fault, failed)
        self._tending.ran(1)
        return outputs

    @property
    def batch(self) -> int:
        """See `Runner.batch`; of what answers now."""
        held = self._roster.now
        return 1 if held is None else held.engine.runner.batch

    def run_together(self, requests: Sequence[Sequence[NDArray[Any]]]) -> tuple[Arrays, ...]:
        """See `Runner.run_together`. Where that fails, each request is answered by itself.

        Raises: as `run`.
        """
        held = self._roster.now
        if held is None or not requests:
            return super().run_together(requests)
        failed = held.slot.failed
        try:
            outputs = held.engine.runner.run_together(requests)
        except Exception as fault:  # noqa: BLE001 -- as in `run`
            first = self._rescue(requests[0], held, fault, failed)
            return (first, *super().run_together(requests[1:]))
        self._tending.ran(len(requests))
        return outputs

    def doubt(self, inputs: Sequence[NDArray[Any]], outputs: Arrays) -> Arrays:
        """`outputs`, which are not finite; or those of the next link, if this one is broken.

        Raises:
            BackendError: it is broken, and nothing else can answer.
        """
        held, golden = self._roster.now, self._roster.golden
        just_now = golden is not None and 0 <= self._clock() - golden.at_s < _DOUBT_S
        if held is None or just_now or self._tending.is_right(held, 1):
            return outputs
        return self.run(inputs)

    @property
    def worker_pid(self) -> int | None:
        """The process of what answers now; None: this one, or no one."""
        held = self._roster.now
        pid: int | None = getattr(held and held.engine.runner, "worker_pid", None)
        return pid

    @property
    def loaded(self) -> Hashable:
        """Another value each time that another process answers, or something was loaded."""
        return self.worker_pid, self._roster.loads

    def abandon(self, reason: str) -> None:
        """What answers now takes ever more memory: the next link answers, if there is one.

        NOTE: only what is in a worker, where nothing else takes memory. In this process it may be
        the application's, and what a link there has taken is not given back with it.
        """
        held = self._roster.now
        if held is None or self.worker_pid is None:
            return
        # Calls were answered: it is left only for what is loaded already.
        if next(self._roster.others({held.slot}), None) is not None:
            self._roster.leave(held, BackendError(reason), "failure")
            self._tending.plan()

    def close(self) -> None:
        """See `Runner.close`. Calls under way end, or raise ClosedError."""
        self._roster.close()
        if self._release is not None:
            self._release()

    def _rescue(
        self,
        inputs: Sequence[NDArray[Any]],
        held: Held | None,
        fault: Exception | None,
        failed: int = 0,
    ) -> Arrays:
        """The answer of another link than `held`, which failed with `fault`.

        Args:
            inputs: of the call.
            held: what has failed; None: nothing was there.
            fault: with what.
            failed: how often it had when the call began.
        """
        faults: list[tuple[Slot, Exception]] = []
        if held is not None and fault is not None:
            self._roster.blame(held, fault, failed)
            faults.append((held.slot, fault))
        by: Slot | None = None
        try:
            for other in self._roster.others({slot for slot, _ in faults}):
                failed = other.slot.failed
                try:
                    outputs = other.engine.runner.run(inputs)
                except Exception as error:  # noqa: BLE001 -- as above
                    self._roster.blame(other, error, failed)
                    faults.append((other.slot, error))
                    continue
                by = other.slot
                break
        finally:
            # Whatever ends the search: what has failed is told.
            self._roster.answered(faults, by)
        self._tending.plan()
        if by is None:
            raise self._unanswered(faults)
        self._tending.replace_spare()
        return outputs

    def _unanswered(self, faults: Sequence[tuple[Slot, Exception]]) -> Exception:
        """What a call raises that no link could answer."""
        slots = self._roster.slots
        if len(slots) == 1 and faults:
            return faults[0][1]
        if self._strict:
            return slots[0].error
        failed = {slot: reason_of(error) for slot, error in faults}
        now = self._clock()
        lines = [
            f"{slot.link.candidate}: {slot.health(now).state}, {failed.get(slot) or slot.reason}"
            for slot in slots
        ]
        asked = [slot.link.candidate for slot in slots]
        lines += [
            f"{each.candidate}: {each.verdict}, {each.reason}"
            for each in self._verdicts
            if each.candidate not in asked
        ]
        reasons = "".join(f"\n  {line}" for line in lines)
        error = NoUsableBackend(
            f"{self._where}: at least one candidate must answer, got none{reasons}"
        )
        error.__cause__ = faults[0][1] if faults else slots[0].fault
        return error
