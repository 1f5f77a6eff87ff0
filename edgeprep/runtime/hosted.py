"""Backends constructed in workers, where that is possible."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from edgeprep.errors import EdgePrepError
from edgeprep.interfaces import Backend, Device, Options, Precision, WeightRange
from edgeprep.monitor import Event
from edgeprep.registry import missing_requirements
from edgeprep.runtime.candidates import Candidate, construct
from edgeprep.runtime.verdicts import VerdictCache, kind_of
from edgeprep.workers import IsolatedBackend, Limits, find_origin, why_no_worker

__all__ = ["HostedEngines"]


class HostedEngines:
    """Constructs backends, each once, in workers where that is possible.

    It is closed when no more candidates are to be loaded; a worker that holds a model ends with it.

    Args:
        limits: what a worker may take.
        verdicts: on backends; a backend that one says no to is not tried. None: all are.
        tell: called with what happens.
        keep: whether there are verdicts on what fails, too.

    Attributes:
        notes: why a backend, by name, is in this process all the same.
    """

    def __init__(
        self,
        *,
        limits: Limits | None,
        verdicts: VerdictCache | None,
        tell: Callable[[Event], object],
        keep: bool = True,
    ) -> None:
        self._keeps = keep
        self._limits = limits
        self._verdicts = verdicts
        self._tell = tell
        self._ready: dict[type[Backend], Backend | str] = {}
        self._left_out: list[type[Backend]] = []
        self._refusal = ""
        self.notes: dict[str, str] = {}

    def start(self, classes: Iterable[type[Backend]]) -> None:
        """Start the workers of `classes` together, as each takes a while to import its engine."""
        for cls in classes:
            if cls not in self._ready:
                self._ready[cls] = self._begin(cls)

    def construct(self, cls: type[Backend]) -> Backend | str:
        """The backend, or the reason why there is none on this machine."""
        self.start([cls])
        backend = self._ready[cls]
        if isinstance(backend, IsolatedBackend):
            try:
                backend.devices()  # the first question is when a driver is loaded
            except EdgePrepError as error:
                backend.close()
                backend = self._ready[cls] = str(error)
        return backend

    def forgive(self) -> bool:
        """Whether kept verdicts have left backends out; they are forgotten, and those are tried."""
        forgiven, self._left_out = self._left_out, []
        for cls in forgiven:
            if self._verdicts is not None:
                self._verdicts.forget(Candidate(variant="", backend=cls.name))
            del self._ready[cls]
        return bool(forgiven)

    def close(self) -> None:
        """End the workers that hold no model, and the others with their models."""
        for backend in self._ready.values():
            if isinstance(backend, IsolatedBackend):
                backend.close()

    def _begin(self, cls: type[Backend]) -> Backend | str:
        if missing_requirements(cls):
            return construct(cls)  # which says what to install, and imports nothing
        if kept := self._kept(cls):
            self._left_out.append(cls)
            return kept
        origin = find_origin(cls)
        if isinstance(origin, str):
            return self._here(cls, origin)
        if refusal := self._why_no_worker():
            return self._here(cls, refusal)
        try:
            return _Asked(cls, limits=self._limits, fault=partial(self._reject, cls))
        except OSError as error:
            self._refuse_all(f"no worker can be started: {error.strerror or error}")
            return self._here(cls, self._refusal)

    def _kept(self, cls: type[Backend]) -> str | None:
        if self._verdicts is None:
            return None
        return self._verdicts.find(Candidate(variant="", backend=cls.name), cls)

    def _here(self, cls: type[Backend], reason: str) -> Backend | str:
        self.notes[cls.name] = reason
        return construct(cls)

    def _why_no_worker(self) -> str:
        if not self._refusal and (refusal := why_no_worker()):
            self._refuse_all(refusal)
        return self._refusal

    def _refuse_all(self, refusal: str) -> None:
        self._refusal = refusal
        message = f"engines are tried in this process, as {refusal}"
        self._tell(Event(kind="verdict", message=message))

    def _reject(self, cls: type[Backend], error: EdgePrepError) -> None:
        if kind := kind_of(error):
            candidate = Candidate(variant="", backend=cls.name)
            if self._verdicts is not None and self._keeps:
                self._verdicts.keep(candidate, cls, error)
            details = {"verdict": kind}
            event = Event(kind="verdict", message=str(error), candidate=cls.name, details=details)
            self._tell(event)


class _Asked(IsolatedBackend):
    """Tells of what goes wrong where it is asked for what it could run.

    Not of `absent`, without whose answer all that is there can be run.
    """

    def __init__(
        self,
        cls: type[Backend],
        *,
        limits: Limits | None,
        fault: Callable[[EdgePrepError], object],
    ) -> None:
        self._fault = fault
        super().__init__(cls, limits=limits)

    def devices(self) -> tuple[Device, ...]:
        with self._watched():
            return super().devices()

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        with self._watched():
            return super().options(device, precision)

    def refuse(self, device: Device, precision: Precision, weight_range: WeightRange) -> str | None:
        with self._watched():
            return super().refuse(device, precision, weight_range)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except EdgePrepError as error:
            self._fault(error)
            raise
