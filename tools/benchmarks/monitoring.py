"""What counting and watching add to each call of a session, and handing on to a reading."""

from collections.abc import Callable
from itertools import cycle
from statistics import median
from time import perf_counter, thread_time
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Report
from edgeprep.monitor import Events, Meter
from edgeprep.monitor.drift import DriftReport
from edgeprep.monitor.memory_guard import MemoryGuard
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.opentelemetry import observe
from edgeprep.monitor.reference import make_reference
from edgeprep.monitor.watches import Watches
from edgeprep.tasks.classify import Classify

__all__ = ["measure"]

ROUNDS, CALLS = 31, 4000
# A hundredth of a network that answers in 2 ms.
LIMIT_US = 20.0
SIZES = ((96, 96), (1080, 1920))
# As many as OpenTelemetry is given at one reading, and how long its readers wait for them.
DURATIONS, WAIT_S = 50_000, 10.0


def measure() -> Report:
    """The counts of a call, the guard of memory, and looking for drift, each by itself."""
    meter, guard = Meter(), MemoryGuard()

    def count() -> None:
        meter.took("prepare", 1e-4)
        meter.took("run", 1e-3)
        meter.took("decode", 1e-5)
        meter.took("total", 1e-3)

    found = {
        "four counts": burst_us(count),
        "watching memory": burst_us(lambda: guard.after(guard.before())),
        **{
            f"looking for drift at pictures of {width}×{height}": burst_us(looking(height, width))
            for height, width in SIZES
        },
    }
    reading_s = [reading() for _ in range(3)]
    return Report(
        title=f"monitoring: what it adds to a call, {ROUNDS} rounds of {CALLS} calls",
        figures=(
            *(
                Figure(name=name, value=median(each), limit=LIMIT_US, unit="µs")
                for name, each in found.items()
            ),
            Figure(
                name=f"a reading of {DURATIONS} durations by OpenTelemetry",
                value=median(reading_s),
                limit=WAIT_S,
                unit="s",
            ),
        ),
        notes=tuple(f"{name}: at most {max(each):.1f} µs" for name, each in found.items()),
        details={**found, "reading_s": reading_s},
    )


def burst_us(call: Callable[[], object]) -> list[float]:
    """Microseconds of the processor that a call takes, whatever else runs, of each round."""
    found = []
    for _ in range(ROUNDS):
        began = thread_time()
        for _ in range(CALLS):
            call()
        found.append((thread_time() - began) / CALLS * 1e6)
    return found


def looking(height: int, width: int) -> Callable[[], object]:
    """What a session does with each picture, of which it looks at one in some thirty."""
    # NOTE: as few large ones as can be, since one after another they are never the same.
    pictures = np.random.default_rng(0).integers(0, 256, (16, height, width, 3), dtype=np.uint8)
    reference = make_reference(pictures, "rgb", placement="graph", classes=(8, 8))
    task = Classify(labels=("a", "b"))
    watches = Watches(reference, "rgb", task, Events("looks"))
    scores = np.eye(2, dtype=np.float32)
    results = cycle([task.decode((row[None],)) for row in scores])
    seen = cycle(pictures)

    def look() -> None:
        watch = watches.of(None)
        if watch.is_due():
            watch.look(next(seen), next(results))

    return look


def reading() -> float:
    """Seconds in which the SDK takes what one session has counted."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter, events = Meter(), Events("counted")

    def metrics() -> Metrics:
        return Metrics.of(
            meter, events, session="counted", candidate="one", drift=DriftReport(reason="none")
        )

    session: Any = SimpleNamespace(metrics=metrics)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe(session, provider=provider)
    for _ in range(DURATIONS):
        meter.took("run", 1e-3)
    began = perf_counter()
    reader.get_metrics_data()
    took = perf_counter() - began
    provider.shutdown()
    return took
