"""Sessions as a collector of prometheus_client."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from edgeprep.errors import InputError
from edgeprep.monitor.histogram import BOUNDS_MS, Histogram
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.process import Process, read_process
from edgeprep.monitor.sessions import Sessions, Tells

__all__ = ["SessionCollector", "register"]

Named = Sequence[tuple[str, Metrics]]

_BOUNDS = tuple(repr(bound / 1e3) for bound in BOUNDS_MS)


class SessionCollector(Collector):
    """See `edgeprep.monitor.prometheus.collector`."""

    def __init__(self, sessions: Sequence[Tells]) -> None:
        self._sessions = Sessions()
        self.join(sessions)

    def join(self, sessions: Sequence[Tells]) -> None:
        """Collect these sessions, too; one thread at a time."""
        self._sessions.join(sessions)

    def collect(self) -> Iterator[Metric]:
        """What is counted now."""
        return _families(list(self._sessions.metrics()))

    def describe(self) -> Iterator[Metric]:
        """The families, by which registries that do not collect find others of the same names."""
        return _families(())


# The collector that `register` has made, of each registry.
_REGISTERED: WeakKeyDictionary[CollectorRegistry, SessionCollector] = WeakKeyDictionary()
_LOCK = Lock()


def register(sessions: Sequence[Tells], registry: CollectorRegistry | None) -> SessionCollector:
    """See `edgeprep.monitor.prometheus.register`."""
    registry = REGISTRY if registry is None else registry
    if not isinstance(registry, CollectorRegistry):
        rule = "must be a CollectorRegistry of prometheus_client"
        raise InputError(f"registry: {rule}, got {registry!r}")
    with _LOCK:
        made = _REGISTERED.get(registry)
        try:
            # NOTE: a registry does not say what is in it, and its owner may have taken ours out. So
            # it is put in anew; who collects in this very moment does without it once.
            if made is not None:
                registry.unregister(made)
        except KeyError:
            made = None
        made = made or SessionCollector(())
        try:
            registry.register(made)
        except ValueError as error:
            rule = "must have no collector of sessions but that of register(…)"
            remedy = "unregister that one, or give all sessions to it: collector(a, b)"
            raise InputError(f"register: registry {rule}, got another; {remedy}") from error
        made.join(sessions)
        _REGISTERED[registry] = made
        return made


def _families(found: Named) -> Iterator[Metric]:
    yield _steps(found)
    yield from _counters(found)
    yield from _gauges(found)
    yield from _workers(found)
    yield from _process(read_process())


def _steps(found: Named) -> Metric:
    family = HistogramMetricFamily(
        "edgeprep_step_seconds",
        "How long each step of a call takes; total is a whole call.",
        labels=("session", "step"),
    )
    for name, metrics in found:
        for step, histogram in metrics.steps.items():
            family.add_metric((name, step), _buckets(histogram), histogram.sum_ms / 1e3)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    upto = accumulate(histogram.counts)
    return list(zip((*_BOUNDS, "+Inf"), map(float, upto), strict=True))


def _counters(found: Named) -> Iterator[Metric]:
    errors = CounterMetricFamily(
        "edgeprep_errors", "Calls that ended with an error.", labels=("session", "error")
    )
    events = CounterMetricFamily(
        "edgeprep_events", "What happened to a session.", labels=("session", "kind")
    )
    dropped = CounterMetricFamily(
        "edgeprep_dropped", "Pictures that went by without a result.", labels=("session",)
    )
    for name, metrics in found:
        for error, count in metrics.errors.items():
            errors.add_metric((name, error), count)
        for kind, count in metrics.events.items():
            events.add_metric((name, kind), count)
        dropped.add_metric((name,), metrics.dropped)
    yield from (errors, events, dropped)


def _gauges(found: Named) -> Iterator[Metric]:
    queued = GaugeMetricFamily("edgeprep_queued", "Pictures that wait.", labels=("session",))
    drift = GaugeMetricFamily(
        "edgeprep_drift",
        "1 where pictures or answers are not as at calibration.",
        labels=("session", "fault"),
    )
    answers = GaugeMetricFamily(
        "edgeprep_answering",
        "1 for the candidate that answers.",
        labels=("session", "candidate"),
    )
    up = GaugeMetricFamily(
        "edgeprep_up_seconds", "How long a session has been open.", labels=("session",)
    )
    for name, metrics in found:
        queued.add_metric((name,), metrics.queued)
        for fault in metrics.drift.watched:
            drift.add_metric((name, fault), float(fault in metrics.drift.faults))
        answers.add_metric((name, metrics.candidate), 1)
        up.add_metric((name,), metrics.up_s)
    yield from (queued, drift, answers, up)


def _workers(found: Named) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "edgeprep_worker_resident_bytes", "Memory of the engine's process.", labels=("session",)
    )
    cpu = CounterMetricFamily(
        "edgeprep_worker_cpu_seconds",
        "Time of all processors for the engine's process.",
        labels=("session",),
    )
    for name, metrics in found:
        worker = metrics.worker
        if worker is not None and worker.rss_bytes is not None:
            memory.add_metric((name,), worker.rss_bytes)
        if worker is not None and worker.cpu_s is not None:
            cpu.add_metric((name,), worker.cpu_s)
    yield from (memory, cpu)


def _process(process: Process) -> Iterator[Metric]:
    # Other names than those of prometheus_client's own collector, which may be registered beside.
    if process.rss_bytes is not None:
        yield GaugeMetricFamily(
            "edgeprep_process_resident_bytes", "Memory of the process.", process.rss_bytes
        )
    yield CounterMetricFamily(
        "edgeprep_process_cpu_seconds", "Time of all processors.", process.cpu_s
    )
    if process.temperature_c is not None:
        yield GaugeMetricFamily(
            "edgeprep_temperature_celsius", "The machine's hottest sensor.", process.temperature_c
        )
