"""Sessions as instruments of OpenTelemetry."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import Lock

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Observation

from edgeprep.monitor.histogram import BOUNDS_MS, Histogram
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.process import read_process
from edgeprep.monitor.told import Tells, each_metrics
from edgeprep.version import __version__

__all__ = ["observe"]

Named = tuple[str, Metrics]
Points = Iterable[tuple[float, dict[str, str]]]


def observe(sessions: Sequence[Tells], provider: api.MeterProvider | None) -> None:
    """See `edgeprep.monitor.opentelemetry.observe`."""
    meter = (provider or api.get_meter_provider()).get_meter("edgeprep", __version__)
    durations = _Durations(meter, each_metrics(sessions))

    def called(points: Callable[[Named], Points]) -> Callable[[CallbackOptions], list[Observation]]:
        return lambda _: [
            Observation(value, attributes)
            for named in each_metrics(sessions)
            for value, attributes in points(named)
        ]

    def first(options: CallbackOptions) -> list[Observation]:
        # Readers ask for it before they look at histograms.
        for name, found in each_metrics(sessions):
            durations.record(name, found)
        return called(_errors)(options)

    counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
    counter("edgeprep.errors", [first], description="Calls that ended with an error.")
    counter("edgeprep.events", [called(_events)], description="What happened to a session.")
    counter(
        "edgeprep.dropped",
        [called(lambda named: [(named[1].dropped, {"session": named[0]})])],
        description="Pictures that went by without a result.",
    )
    gauge(
        "edgeprep.queued",
        [called(lambda named: [(named[1].queued, {"session": named[0]})])],
        description="Pictures that wait.",
    )
    gauge(
        "edgeprep.drift",
        [called(_drift)],
        description="1 where pictures or answers are not as at calibration.",
    )
    gauge("edgeprep.process.memory", [partial(_process, "rss_bytes")], "By", "Memory.")
    counter("edgeprep.process.cpu.time", [partial(_process, "cpu_s")], "s", "Processors' time.")
    gauge(
        "edgeprep.worker.memory", [called(partial(_worker, "rss_bytes"))], "By", "Engine's memory."
    )
    counter(
        "edgeprep.worker.cpu.time",
        [called(partial(_worker, "cpu_s"))],
        "s",
        "Processors' time for the engine's process.",
    )
    gauge("edgeprep.temperature", [partial(_process, "temperature_c")], "Cel", "Hottest sensor.")


def _errors(named: Named) -> Points:
    name, found = named
    return [(count, {"session": name, "error": error}) for error, count in found.errors.items()]


def _events(named: Named) -> Points:
    name, found = named
    return [(count, {"session": name, "kind": kind}) for kind, count in found.events.items()]


def _drift(named: Named) -> Points:
    name, found = named
    return [
        (int(fault in found.drift.faults), {"session": name, "fault": fault})
        for fault in found.drift.watched
    ]


def _worker(fact: str, named: Named) -> Points:
    name, found = named
    value = None if found.worker is None else getattr(found.worker, fact)
    return [] if value is None else [(value, {"session": name})]


def _process(fact: str, _: CallbackOptions) -> list[Observation]:
    value = getattr(read_process(), fact)
    return [] if value is None else [Observation(value)]


class _Durations:
    """Hands histograms on to one of OpenTelemetry's, which wants each duration.

    NOTE: it has no histogram that is asked for when it is read; and to record each duration when it
    is over takes ten times as long as to count it. So what has come since the last time is recorded
    when a reader asks: as many durations in each class, and as long together, as there were. What
    was before nobody asked for: months of it would take hours.

    Args:
        meter: makes the histogram.
        found: what there is already, which is left out.
    """

    def __init__(self, meter: api.Meter, found: Iterable[Named]) -> None:
        self._histogram = meter.create_histogram(
            "edgeprep.step.duration",
            unit="s",
            description="How long each step of a call takes; total is a whole call.",
            explicit_bucket_boundaries_advisory=[bound / 1e3 for bound in BOUNDS_MS],
        )
        self._known: dict[tuple[str, str], Histogram] = {
            (name, step): histogram
            for name, metrics in found
            for step, histogram in metrics.steps.items()
        }
        # Two readers of one provider may ask at once: each duration is recorded once, for both.
        self._lock = Lock()

    def record(self, name: str, found: Metrics) -> None:
        """What has come since the last time."""
        for step, histogram in found.steps.items():
            attributes = {"session": name, "step": step}
            for seconds, count in self._new(name, step, histogram):
                for _ in range(count):
                    self._histogram.record(seconds, attributes)

    def _new(self, name: str, step: str, now: Histogram) -> Sequence[tuple[float, int]]:
        with self._lock:
            before = self._known.get((name, step))
            if before is not None and now.count < before.count:
                # Another reader has seen more by now.
                return ()
            self._known[name, step] = now
        return tuple(_spread(_since(now, before)))


def _since(now: Histogram, before: Histogram | None) -> Histogram:
    if before is None:
        return now
    counts = (late - early for late, early in zip(now.counts, before.counts, strict=True))
    return Histogram(counts=tuple(counts), sum_ms=now.sum_ms - before.sum_ms)


def _spread(found: Histogram) -> Iterator[tuple[float, int]]:
    """One duration for each class, in seconds, and how many are in it; their sum is right."""
    lower = (0.0, *BOUNDS_MS)
    # Above the last bound anything may come; twice the bound stands for it.
    width = [up - low for low, up in zip(lower, (*BOUNDS_MS, 2 * BOUNDS_MS[-1]), strict=True)]
    least = sum(count * low for count, low in zip(found.counts, lower, strict=True))
    room = sum(count * wide for count, wide in zip(found.counts, width, strict=True))
    # Above 0, as a bound belongs to the class below it.
    place = min(max((found.sum_ms - least) / room, 1e-6), 1.0) if room else 0.0
    for count, low, wide in zip(found.counts, lower, width, strict=True):
        if count:
            yield (low + place * wide) / 1e3, count
