"""Calls of what answers a session: timed, and watched for memory that is not given back."""

from collections.abc import Callable, Hashable, Sequence
from time import perf_counter
from typing import TypeVar

from edgeprep.errors import BackendError, EdgePrepError
from edgeprep.interfaces import Runner
from edgeprep.monitor import Event, Events, Meter
from edgeprep.monitor.memory_guard import Growth, MemoryGuard
from edgeprep.monitor.process import resident_bytes
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.ending import UNDER_WAY
from edgeprep.runtime.fallback import FallbackRunner

__all__ = ["EngineCalls"]

Found = TypeVar("Found")


class EngineCalls:
    """Calls of an engine, which let out nothing but errors of edgeprep.

    Args:
        runner: the engine, or a chain of them.
        session: the name of the session, for messages.
        outcomes: what became of every candidate, the chosen one first.
        meter: counts how long calls take.
        events: told where they make the process of the engine grow.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        session: str,
        outcomes: Sequence[Outcome],
        meter: Meter,
        events: Events,
    ) -> None:
        self._chain = runner if isinstance(runner, FallbackRunner) else None
        self._session = session
        self._outcomes = outcomes
        self._meter = meter
        self._events = events
        self._guard = MemoryGuard(self._resident_bytes, engine=self._loaded)

    @property
    def answering(self) -> Candidate:
        """What answers now."""
        return self._outcomes[0].candidate if self._chain is None else self._chain.answering

    @property
    def worker_pid(self) -> int | None:
        """The process that the engine is in; None: this one."""
        return None if self._chain is None else self._chain.worker_pid

    def make(self, call: Callable[[], Found], *, pictures: int = 1) -> Found:
        """What `call` gives, which has the engine compute so many pictures.

        Raises:
            BackendError: the engine failed; or what else of edgeprep `call` raises.
        """
        watched = self._guard.before()
        began = perf_counter()
        growth: Growth | None = None
        try:
            with UNDER_WAY:
                found = call()
        except EdgePrepError:
            raise
        except Exception as error:  # a backend is a plugin's code and may raise anything
            raise BackendError(
                f"session {self._session!r}: {self.answering} must run, "
                f"got {type(error).__name__}: {error}"
            ) from error
        finally:
            growth = self._guard.after(watched)
        took_s = perf_counter() - began
        for _ in range(pictures):  # each has waited for all of it
            self._meter.took("run", took_s)
        if growth is not None:
            self._tell(growth)
        return found

    def _tell(self, growth: Growth) -> None:
        candidate = str(self.answering)
        details = {
            "bytes": growth.bytes,
            "call_bytes": growth.call_bytes,
            "calls": growth.calls,
        }
        message = f"{candidate} does not give back its memory: {growth}"
        self._events.tell(
            Event(kind="memory", message=message, candidate=candidate, details=details)
        )
        if self._chain is not None:
            self._chain.abandon(f"its memory grows: {growth}")

    def _resident_bytes(self) -> int | None:
        """Memory of the process that the engine is in."""
        return resident_bytes(self.worker_pid)

    def _loaded(self) -> Hashable:
        return () if self._chain is None else self._chain.loaded
