"""What has counted, as a session does."""

from typing import ClassVar

import pytest

from edgeprep.monitor import Event, Events, Meter
from edgeprep.monitor.drift import DriftReport
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.process import Worker


class Counted:
    """A session that has counted each of `durations_ms` once as "run", and one of all else."""

    durations_ms: ClassVar = (0.003, 0.3, 2.0, 2.5, 40.0, 41.0, 44.0, 80_000.0)
    candidate: ClassVar = 'onnx-int8 onnxruntime cpu "{threads: 1}"'

    def __init__(self, name: str = "digits", members: "tuple[Counted, ...]" = ()) -> None:
        self.name, self.members = name, members
        self.worker: Worker | None = None
        self.closed = False
        self.meter, self.events = Meter(), Events(name)
        self.run(self.durations_ms)
        self.meter.failed(ValueError("no"))
        self.meter.dropped(3)
        self.meter.queued(5)
        self.events.tell(Event(kind="fallback", message="no"))

    def run(self, durations_ms: tuple[float, ...]) -> None:
        for duration in durations_ms:
            self.meter.took("run", duration / 1e3)

    def metrics(self) -> Metrics:
        return Metrics.of(
            self.meter,
            self.events,
            session=self.name,
            candidate=self.candidate,
            drift=DriftReport(faults=("black",), watched=("frozen", "black")),
            worker=self.worker,
            members={member.name: member.metrics() for member in self.members},
        )


@pytest.fixture
def counted() -> type[Counted]:
    return Counted
