"""What a session has counted, at one moment."""

from collections.abc import Mapping
from time import monotonic, time
from typing import Any, Self

import msgspec
from msgspec import Struct, field

from edgeprep.monitor.drift import DriftReport
from edgeprep.monitor.events import EventKind, Events
from edgeprep.monitor.histogram import BOUNDS_MS, Histogram
from edgeprep.monitor.meter import Meter, Step
from edgeprep.monitor.process import Process, Worker, read_process

__all__ = ["METRICS_VERSION", "Metrics"]

# Of the document that `Metrics.to_json` gives: raised where a key goes, or means something else.
METRICS_VERSION = 1


class Metrics(Struct, frozen=True, kw_only=True):
    """What a session has counted since it was opened, at one moment.

    Attributes:
        session: its name.
        candidate: which one answers.
        time: of the moment, in seconds since 1970, by the system's clock.
        up_s: for how long the session has been open.
        steps: how long each step took; see `Step`. Of an ensemble "total" alone: steps are those of
            its members.
        errors: how many calls ended with an error, by its class.
        dropped: how many pictures of streams went by without a result, as newer ones were there.
        queued: how many pictures of streams wait.
        most_queued: how many did at most.
        events: how many events there were of each kind; see `Event`.
        drift: whether pictures and answers are as they were at calibration.
        process: this process, with all of its sessions.
        worker: the process that what answers runs in; None: this one.
        members: of an ensemble, those of its members, by their names.
    """

    session: str
    candidate: str
    time: float = field(default_factory=time)
    up_s: float
    steps: Mapping[Step, Histogram]
    errors: Mapping[str, int]
    dropped: int
    queued: int
    most_queued: int
    events: Mapping[EventKind, int]
    drift: DriftReport
    process: Process
    worker: Worker | None = None
    members: "Mapping[str, Metrics]" = {}

    @classmethod
    def of(
        cls,
        meter: Meter,
        events: Events,
        *,
        session: str,
        candidate: str,
        drift: DriftReport,
        worker: Worker | None = None,
        members: "Mapping[str, Metrics] | None" = None,
    ) -> Self:
        """Those of now.

        Args:
            meter: the session's.
            events: the session's.
            session: its name.
            candidate: which one answers.
            drift: whether pictures and answers are as they were at calibration.
            worker: the process of what answers; None: this one.
            members: of an ensemble.
        """
        queued, most_queued = meter.pictures_queued
        return cls(
            session=session,
            candidate=candidate,
            up_s=monotonic() - meter.since_s,
            steps=meter.steps,
            errors=meter.errors,
            dropped=meter.pictures_dropped,
            queued=queued,
            most_queued=most_queued,
            events=events.counts,
            drift=drift,
            process=read_process(),
            worker=worker,
            members=members or {},
        )

    def to_json(self) -> dict[str, Any]:
        """A document of plain values, for programs."""
        return {"schema_version": METRICS_VERSION, "bounds_ms": BOUNDS_MS, **self._plain()}

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        plain["steps"] = {step: found.to_json() for step, found in self.steps.items()}
        plain["members"] = {name: one._plain() for name, one in self.members.items()}
        return plain
