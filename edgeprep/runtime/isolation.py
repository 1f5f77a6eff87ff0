"""What keeps engines away from this process, until they have shown that they work."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import time
from typing import TYPE_CHECKING, Literal, Protocol

from edgeprep.errors import BackendCrashed, InputError, SettingError, UnknownName
from edgeprep.interfaces import Backend
from edgeprep.monitor import Event
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import Candidate, Outcome, Reachable, construct
from edgeprep.runtime.choose import Prober, Trial

if TYPE_CHECKING:
    from edgeprep.runtime.verdicts import VerdictCache
    from edgeprep.workers import Limits

__all__ = ["HERE", "Engines", "Isolation", "Where", "check_isolate"]

# "first": candidates are tried in workers, and the one that is chosen answers in this process.
# "always": it answers in its worker. "never": all is done in this process.
Where = Literal["first", "always", "never"]
_VARIABLE = "EDGEPREP_ISOLATE"
_WORDS: dict[str, Where] = {"": "first", "0": "never", "1": "always"}


def check_isolate(isolate: object, limits: object = None) -> Where:
    """What `isolate` of `edgeprep.open` says, or EDGEPREP_ISOLATE where it is None.

    Raises:
        InputError: it is neither True, False nor None; `limits` are none.
        SettingError: the variable is neither 0 nor 1.
    """
    if limits is not None:
        from edgeprep.workers import Limits  # here, as they are rarely given

        if not isinstance(limits, Limits):
            raise InputError(f"limits: must be edgeprep.workers.Limits or None, got {limits!r}")
    if isolate is None:
        word = os.environ.get(_VARIABLE, "")
        if word not in _WORDS:
            raise SettingError(f"{_VARIABLE}: must be 0 or 1, or not set, got {word!r}")
        return _WORDS[word]
    if not isinstance(isolate, bool):
        raise InputError(f"isolate: must be True, False or None, got {isolate!r}")
    return "always" if isolate else "never"


class Engines(Protocol):
    """What constructs backends; see `HostedEngines`, and `Isolation.engines` for this process."""

    @property
    def notes(self) -> dict[str, str]:
        """Why a backend, by name, is in this process though others are not."""

    def start(self, classes: Iterable[type[Backend]]) -> None:
        """Get them ready together."""

    def construct(self, cls: type[Backend]) -> Backend | str:
        """The backend, or the reason why there is none on this machine."""

    def forgive(self) -> bool:
        """Whether kept verdicts have left backends out; they are forgotten, and those are tried."""

    def close(self) -> None:
        """No more candidates will be loaded."""


class _Here:
    """This process."""

    notes: dict[str, str] = {}  # noqa: RUF012 -- it stays empty

    construct = staticmethod(construct)

    def start(self, classes: Iterable[type[Backend]]) -> None:
        """There is nothing to get ready."""

    def forgive(self) -> bool:
        """There are no verdicts here."""
        return False

    def close(self) -> None:
        """There is nothing to end."""


HERE: Engines = _Here()


class Isolation:
    """How the candidates of one bundle are kept away from this process.

    Args:
        where: they are tried, and the chosen one answers.
        limits: what a worker may take; None: the usual.
        digest: the bundle's.
        registry: where backends are looked up.
        tell: called with what happens.
    """

    def __init__(
        self,
        where: Where,
        limits: "Limits | None",
        *,
        digest: str,
        registry: Registry,
        tell: Callable[[Event], object],
    ) -> None:
        self.where = where
        self.limits = limits
        self._digest = digest
        self._registry = registry
        self._tell = tell
        self._verdicts: VerdictCache | None = None
        self._on_backends: VerdictCache | None = None
        self._rejected_at: list[float] = []
        self._trusted: set[str] = set()

    @property
    def answers_in_worker(self) -> bool:
        """Whether what is chosen stays in its worker."""
        return self.where == "always"

    @contextmanager
    def engines(self, *, probe: bool = True, keep: bool = True) -> Iterator[Engines]:
        """What constructs the backends that are tried; workers without a model end with the block.

        Args:
            probe: whether candidates are measured; if not, they are tried where they answer.
            keep: whether what is wrong with a whole backend is kept, for all bundles.
        """
        if self.where == "never" or not (probe or self.answers_in_worker):
            yield HERE
            return
        # Here, as a remembered choice needs none of it.
        from edgeprep.runtime.hosted import HostedEngines
        from edgeprep.runtime.verdicts import VerdictCache

        if self._on_backends is None:
            self._on_backends = VerdictCache("", self._tell, self.limits)
        engines = HostedEngines(
            limits=self.limits, verdicts=self._on_backends, tell=self._tell, keep=keep
        )
        try:
            yield engines
        finally:
            engines.close()

    def sift(self, candidates: Sequence[Reachable]) -> tuple[list[Reachable], list[Outcome]]:
        """What is to be tried, and what was rejected not long ago, with the reason."""
        left, rejected = [], []
        if self.where == "never":
            return list(candidates), []
        for one in candidates:
            reason = self.verdicts.find(one.candidate, self._class(one.candidate))
            if reason is None:
                left.append(one)
            else:
                rejected.append(one.outcome("rejected", reason))
        return left, rejected

    def reject(self, candidate: Candidate, fault: Exception) -> None:
        """`candidate` was rejected for `fault`, which is kept and told where it is no accident."""
        from edgeprep.runtime.verdicts import kind_of

        if kind := kind_of(fault):
            self._rejected_at.append(time())
            if self.where != "never":
                self.verdicts.keep(candidate, self._class(candidate), fault)
            details = {"verdict": kind}
            event = Event(
                kind="verdict",
                message=f"{candidate}: {fault}",
                candidate=str(candidate),
                details=details,
            )
            self._tell(event)

    def verdicts_at(self) -> list[float]:
        """When the verdicts were given that a choice of now stands on, in seconds since 1970."""
        caches = filter(None, (self._verdicts, self._on_backends))
        return [*self._rejected_at, *(at for cache in caches for at in cache.times())]

    def crashed(self, candidate: Candidate, fault: Exception) -> None:
        """`candidate` may not answer any more; if that is for a crash, it is kept."""
        if self.where != "never" and isinstance(fault, BackendCrashed):
            self.verdicts.keep(candidate, self._class(candidate), fault)

    def is_rejected(self, candidate: Candidate) -> bool:
        """Whether a kept verdict says no to `candidate`."""
        if self.where == "never":
            return False
        return self.verdicts.find(candidate, self._class(candidate)) is not None

    def has_died(self) -> bool:
        """Whether a process died while it loaded a candidate of this bundle; told once."""
        if self.where == "never":
            return False
        from edgeprep.runtime.attempts import Attempts

        dead = Attempts(self._digest, self._tell).dead()
        for candidate in dead:
            with suppress(UnknownName):  # a plugin that is no longer there
                self.verdicts.died(candidate, self._class(candidate))
            message = f"{candidate}: a process died while it loaded this candidate"
            self._tell(Event(kind="verdict", message=message, candidate=str(candidate)))
        return bool(dead)

    @contextmanager
    def attempt(self, candidate: Candidate) -> Iterator[None]:
        """In the block, `candidate` is loaded in this process, which may die of it."""
        if self.where != "first":
            yield
            return
        from edgeprep.runtime.attempts import Attempts

        with Attempts(self._digest, self._tell).mark(candidate):
            yield

    def settle(self, prober: Prober, trial: Trial, engines: Engines) -> Trial | None:
        """`trial`, where it is to answer; None, and rejected, if it fails there.

        Args:
            prober: has loaded it.
            trial: what was chosen.
            engines: have constructed its backend.
        """
        from edgeprep.workers import IsolatedBackend

        if self.answers_in_worker or not isinstance(trial.reachable.backend, IsolatedBackend):
            return trial
        # First, as a small machine may not have the memory for both.
        engines.close()
        candidate = trial.reachable.candidate
        with self.attempt(candidate):
            settled = prober.move(trial, construct(self._class(candidate)))
        if settled is not None:
            self.verdicts.forget(candidate)  # such as that a process died once
        return settled

    def trust(self, outcomes: Iterable[Outcome]) -> None:
        """What was measured may be loaded in this process, once, without being tried again."""
        measured = ("slower", "larger")
        self._trusted = {str(one.candidate) for one in outcomes if one.verdict in measured}

    def must_try(self, candidate: Candidate) -> bool:
        """Whether `candidate` has to show in a worker that it works, before it is loaded here.

        What failed here has to do so each time.
        """
        name = str(candidate)
        is_trusted = name in self._trusted
        self._trusted.discard(name)
        return self.where == "first" and not is_trusted

    @property
    def verdicts(self) -> "VerdictCache":
        """Those that are kept on this bundle's candidates."""
        if self._verdicts is None:
            from edgeprep.runtime.verdicts import VerdictCache

            self._verdicts = VerdictCache(self._digest, self._tell, self.limits)
        return self._verdicts

    def _class(self, candidate: Candidate) -> type[Backend]:
        return self._registry.get("backend", candidate.backend)
