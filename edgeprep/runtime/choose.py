"""Candidates loaded, proved by golden samples and timed; and a record of what became of each."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Bundle
from edgeprep.errors import BackendError, BackendUnavailable, NoUsableBackend
from edgeprep.interfaces import Backend, Runner, Task
from edgeprep.runtime.candidates import Candidate, Outcome, Reachable
from edgeprep.runtime.goals import Goal
from edgeprep.runtime.golden import allowed_error, golden_error, wrong_numbers
from edgeprep.runtime.ranking import ranked
from edgeprep.runtime.release import close
from edgeprep.runtime.timing import Timing, summarize
from edgeprep.runtime.widths import load_wide

if TYPE_CHECKING:
    from edgeprep.runtime.compiled import CompiledForms

__all__ = ["Prober", "Trial"]


def _ignore(candidate: Candidate, fault: Exception) -> None:
    """Nobody wants to know."""


class Trial(Struct, eq=False):
    """A candidate that loaded and computes the right numbers."""

    reachable: Reachable
    runner: Runner
    error: float
    burst: Callable[[], list[float]]
    bursts: list[list[float]] = field(default_factory=list)  # milliseconds of each call
    memory_bytes: int | None = None  # of a process with nothing else, where it was measured
    behind: float = 1.0  # how many times as long as the best one it took at the first look

    @property
    def best_ms(self) -> float:
        """The fastest call so far; other work on the machine only ever adds to it."""
        return min(map(min, self.bursts))

    @property
    def timing(self) -> Timing:
        """The statistics of all bursts so far."""
        return summarize(self.bursts)


class Prober:
    """Loads, proves and measures the candidates of one bundle.

    In a `with` block it closes all that it has loaded if the block fails or is interrupted; what
    is loaded when the block ends well, belongs to the caller.

    Args:
        bundle: an open bundle.
        task: the bundle's, which says what is compared with golden outputs.
        burst: given a candidate, its runner and the inputs of one golden sample, what times a short
            run of requests.
        left_out: candidates that are not to be tried; they end up among the outcomes.
        rejected: told of each candidate that is rejected, and for what.
        forms: what engines have compiled before; None: nothing is used.
        goal: what the best one is best in. For throughput, bursts are of calls that keep the engine
            busy, in a picture's share.
    """

    def __init__(
        self,
        bundle: Bundle,
        task: Task,
        burst: Callable[[Candidate, Runner, tuple[NDArray[Any], ...]], Callable[[], list[float]]],
        left_out: Sequence[Outcome] = (),
        rejected: Callable[[Candidate, Exception], object] = _ignore,
        forms: "CompiledForms | None" = None,
        goal: Goal = "latency",
    ) -> None:
        self._goal = goal
        self._bundle = bundle
        self._task = task
        self._burst = burst
        self._rejected = rejected
        self._forms = forms
        self._tried: list[Outcome] = []
        self._loaded: list[Runner] = []
        self._left_out = tuple(left_out)

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of every candidate; the chosen one first, once there is one."""
        return [*self._tried, *self._left_out]

    def prove(self, reachable: Reachable, samples: int | None = None) -> Trial | None:
        """The loaded candidate, or None with the reason in `outcomes`.

        Args:
            reachable: what to load.
            samples: how many golden samples it must reproduce; None: all of them.
        """
        if trial := self._prove_compiled(reachable, samples):
            return trial
        variant = reachable.variant
        golden = self._bundle.golden(variant)
        runner: Runner | None = None
        try:
            model, options = self._bundle.model(variant), reachable.candidate.options
            runner = load_wide(reachable.backend, model, reachable.device, options)
            self._loaded.append(runner)
            error = golden_error(runner, golden, self._task, samples)
        except Exception as fault:  # noqa: BLE001 -- an engine's fault rejects it, and is shown
            self._reject(reachable, fault, runner)
            return None
        if not self._is_right(reachable, runner, error):
            return None
        return self._trial(reachable, runner, error)

    def _prove_compiled(self, reachable: Reachable, samples: int | None) -> Trial | None:
        """As `prove`, from what the engine has compiled before; nothing is rejected for that."""
        compiled = self._forms and self._forms.find(reachable)
        if not compiled or self._forms is None:
            return None
        candidate, variant = reachable.candidate, reachable.variant
        golden = self._bundle.golden(variant)
        runner: Runner | None = None
        try:
            model = self._bundle.model(variant)
            runner = reachable.backend.load_compiled(
                compiled, model, reachable.device, candidate.options
            )
            error = golden_error(runner, golden, self._task, samples)
            allowed = allowed_error(variant, candidate.options, reachable.device.kind)
            if error <= allowed:
                self._loaded.append(runner)
                return self._trial(reachable, runner, error)
            reason = str(wrong_numbers(error, allowed))
        except Exception as fault:  # noqa: BLE001 -- an engine's fault is shown
            reason = _reason(fault)
        if runner is not None:
            close(runner)
        self._forms.refuse(reachable, reason)
        return None

    def keep_compiled(self, trial: Trial) -> None:
        """Keep what the engine compiled of `trial`, so that it loads quicker another time."""
        if self._forms is not None:
            self._forms.keep(trial.reachable, trial.runner)

    def _trial(self, reachable: Reachable, runner: Runner, error: float) -> Trial:
        feed = self._bundle.golden(reachable.variant).feed(0)
        return Trial(reachable, runner, error, self._burst(reachable.candidate, runner, feed))

    def first(
        self,
        candidates: Sequence[Reachable],
        attempt: Callable[[Candidate], AbstractContextManager[None]] = nullcontext,  # type: ignore[assignment]  # its argument is what it gives
    ) -> Trial:
        """The first candidate that computes the right numbers, loaded; nothing is measured.

        Args:
            candidates: in the order in which they are tried.
            attempt: each is tried in the block that this gives.

        Raises:
            NoUsableBackend: no candidate is left.
        """
        winner: Trial | None = None
        for reachable in candidates:
            if winner is None:
                with attempt(reachable.candidate):
                    winner = self.prove(reachable)
            else:
                self.pass_over(reachable, "probe=False")
        if winner is None:
            raise NoUsableBackend(self.nothing_left())
        reason = "the first one that computes the right numbers; probe=False"
        self._tried.insert(0, winner.reachable.outcome("chosen", reason, error=winner.error))
        return winner

    def all(self, candidates: Sequence[Reachable], *, rounds: int) -> list[Trial]:
        """Every candidate that computes the right numbers, measured in turns and left loaded."""
        trials = [trial for reachable in candidates if (trial := self.prove(reachable))]
        for _ in range(rounds):
            trials = [trial for trial in trials if self.measure(trial)]
        return trials

    def prove_again(self, trial: Trial) -> bool:
        """Whether `trial` computes all golden samples rightly; if not, it is rejected."""
        try:
            golden = self._bundle.golden(trial.reachable.variant)
            trial.error = golden_error(trial.runner, golden, self._task)
        except Exception as fault:  # noqa: BLE001 -- an engine's fault rejects it, and is shown
            self._reject(trial.reachable, fault, trial.runner)
            return False
        return self._is_right(trial.reachable, trial.runner, trial.error)

    def rank(self, trials: Sequence[Trial]) -> Trial:
        """The best of `trials`; the others are closed, and all outcomes put in order."""
        winner, *rest = sorted(trials, key=lambda t: t.memory_bytes or t.timing.median_ms)
        self.retire(rest)
        self._tried = ranked(self._measured(winner), self._tried, self._goal)
        return winner

    def measure(self, trial: Trial) -> bool:
        """Whether `trial` got through one more burst; if not, it is rejected."""
        try:
            trial.bursts.append(trial.burst())
        except Exception as fault:  # noqa: BLE001 -- an engine's fault rejects it, and is shown
            self._reject(trial.reachable, fault, trial.runner)
            return False
        return True

    def retire(self, trials: Sequence[Trial]) -> None:
        """Close `trials`, which were measured and are not the best."""
        for trial in trials:
            self._close(trial.runner)
            self._tried.append(self._measured(trial))

    def release(self, trial: Trial) -> None:
        """Close `trial`, which is tried again."""
        self._close(trial.runner)
        self.reconsider(trial.reachable.candidate)

    def give_up(self, trial: Trial, fault: Exception) -> None:
        """Close `trial`, which cannot be measured for `fault`."""
        self._reject(trial.reachable, fault, trial.runner)

    def _measured(self, trial: Trial) -> Outcome:
        timing = trial.timing
        return trial.reachable.outcome(
            "larger" if self._goal == "memory" else "slower",
            "",
            timing=timing,
            error=trial.error,
            per_second=1e3 / timing.median_ms if self._goal == "throughput" else None,
            memory_bytes=trial.memory_bytes,
        )

    def _is_right(self, reachable: Reachable, runner: Runner, error: float) -> bool:
        options, kind = reachable.candidate.options, reachable.device.kind
        allowed = allowed_error(reachable.variant, options, kind)
        # NOTE: not `error > allowed`, which lets through what is no number.
        if error <= allowed:
            return True
        self._reject(reachable, wrong_numbers(error, allowed), runner)
        return False

    def pass_over(self, reachable: Reachable, reason: str) -> None:
        """Leave `reachable` unmeasured, which could answer all the same."""
        self._tried.append(reachable.outcome("unmeasured", reason))

    def exclude(self, reachable: Reachable, reason: str) -> None:
        """Leave `reachable` out, which could not answer."""
        self._tried.append(reachable.outcome("excluded", reason))

    def _reject(self, reachable: Reachable, fault: Exception, runner: Runner | None) -> None:
        if runner is not None:
            self._close(runner)
        self._rejected(reachable.candidate, fault)
        self._tried.append(reachable.outcome("rejected", _reason(fault)))

    def _close(self, runner: Runner) -> None:
        close(runner)
        self._loaded = [loaded for loaded in self._loaded if loaded is not runner]

    def move(self, trial: Trial, backend: Backend | str) -> Trial | None:
        """What was chosen, loaded by `backend` and proven; None, and rejected, if it fails.

        Args:
            trial: what was chosen, which is closed.
            backend: the same one in another place, or the reason why there is none.
        """
        self._close(trial.runner)
        if isinstance(backend, str):
            moved = None
            self._reject(trial.reachable, BackendUnavailable(backend), None)
        else:
            moved = self.prove(replace(trial.reachable, backend=backend))
        if moved is None:
            self._tried = [outcome for outcome in self._tried if outcome.verdict != "chosen"]
        return moved

    def reconsider(self, candidate: Candidate) -> None:
        """Forget what became of `candidate`, which is tried again."""
        self._tried = [outcome for outcome in self._tried if outcome.candidate != candidate]

    def nothing_left(self) -> str:
        """The message of NoUsableBackend: every candidate with its reason."""
        reasons = "".join(f"\n  {o.candidate}: {o.verdict}, {o.reason}" for o in self.outcomes)
        return (
            f"{self._bundle.path}: at least one candidate must run on this machine, got none"
            f"{reasons or '; no candidate is left by prefer= and the installed plugins'}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            for runner in self._loaded:
                close(runner)


def _reason(fault: Exception) -> str:
    return str(fault) if isinstance(fault, BackendError) else repr(fault)
