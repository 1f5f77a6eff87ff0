"""Sessions as instruments of OpenTelemetry."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from weakref import WeakKeyDictionary

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Observation

from edgeprep.errors import InputError
from edgeprep.monitor.histogram import BOUNDS_MS, Histogram
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.process import read_process
from edgeprep.monitor.sessions import Sessions, Tells
from edgeprep.version import __version__

__all__ = ["observe"]

Named = tuple[str, Metrics]
Points = Iterable[tuple[float, dict[str, str]]]

# Of one reading: a second of work, of the ten that readers wait for an instrument.
_MOST = 50_000


def observe(sessions: Sequence[Tells], provider: api.MeterProvider | None) -> None:
    """See `edgeprep.monitor.opentelemetry.observe`."""
    provider = api.get_meter_provider() if provider is None else provider
    if not isinstance(provider, api.MeterProvider):
        raise InputError(f"provider: must be a MeterProvider of opentelemetry, got {provider!r}")
    with _LOCK:
        observed = _OBSERVED.get(provider)
        if observed is None:
            meter = provider.get_meter("edgeprep", __version__)
            observed = _OBSERVED[provider] = _Observed(meter)
        observed.join(sessions)


class _Observed:
    """The sessions that the readers of one provider ask for; it has each instrument once.

    Args:
        meter: makes the instruments.
    """

    def __init__(self, meter: api.Meter) -> None:
        self._sessions = Sessions()
        self._durations = _Durations(meter)
        counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
        called = self._called
        # The first, as readers ask for it before they look at histograms.
        counter("edgeprep.errors", [self._first], description="Calls that ended with an error.")
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
            "edgeprep.worker.memory",
            [called(partial(_worker, "rss_bytes"))],
            "By",
            "Engine's memory.",
        )
        counter(
            "edgeprep.worker.cpu.time",
            [called(partial(_worker, "cpu_s"))],
            "s",
            "Processors' time for the engine's process.",
        )
        gauge(
            "edgeprep.temperature", [partial(_process, "temperature_c")], "Cel", "Hottest sensor."
        )

    def join(self, sessions: Sequence[Tells]) -> None:
        """Observe these, too; one thread at a time."""
        self._durations.join(self._sessions, sessions)

    def _called(
        self, points: Callable[[Named], Points]
    ) -> Callable[[CallbackOptions], list[Observation]]:
        return lambda _: [
            Observation(value, attributes)
            for named in self._sessions.metrics()
            for value, attributes in points(named)
        ]

    def _first(self, options: CallbackOptions) -> list[Observation]:
        self._durations.record(self._sessions)
        return self._called(_errors)(options)


_OBSERVED: WeakKeyDictionary[api.MeterProvider, _Observed] = WeakKeyDictionary()
_LOCK = Lock()


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

    NOTE: its API has no histogram that is asked for when it is read (specification issue 2713), its
    SDK for Python has no MetricProducer, and to record each duration when it is over takes ten
    times as long as to count it. So what has come since the last time is recorded when a reader
    asks: as many durations in each class, and as long together, as there were. What was before
    nobody asked for: months of it would take hours.

    Args:
        meter: makes the histogram.
    """

    def __init__(self, meter: api.Meter) -> None:
        self._histogram = meter.create_histogram(
            "edgeprep.step.duration",
            unit="s",
            description="How long each step of a call takes; total is a whole call.",
            explicit_bucket_boundaries_advisory=[bound / 1e3 for bound in BOUNDS_MS],
        )
        # By the name of the session and the step: what the histogram has.
        self._known: dict[tuple[str, str], Histogram] = {}
        # Two readers of one provider may ask at once: each duration is recorded once, for both.
        self._lock = Lock()

    def join(self, sessions: Sessions, more: Sequence[Tells]) -> None:
        """Have `more` among `sessions`, without what they have counted already."""
        with self._lock:
            new = sessions.join(more)
            now = _by_step(sessions.metrics())
            self._known = {
                (name, step): found if _is_of(name, new) else self._known.get((name, step), _NONE)
                for (name, step), found in now.items()
            }

    def record(self, sessions: Sessions) -> None:
        """What has come since the last time, or of each class the same share of it."""
        for attributes, seconds, count in self._new(sessions):
            for _ in range(count):
                self._histogram.record(seconds, attributes)

    def _new(self, sessions: Sessions) -> list[tuple[dict[str, str], float, int]]:
        new = []
        with self._lock:
            now = _by_step(sessions.metrics())
            before = {key: self._known.get(key, _NONE) for key in now}
            came = {key: _since(late, before[key]) for key, late in now.items()}
            share = min(_MOST / max(sum(each.count for each in came.values()), 1), 1.0)
            for (name, step), each in came.items():
                attributes = {"session": name, "step": step}
                taken = tuple(int(count * share) for count in each.counts)
                lengths_ms = _length_of_each(each)
                new += [
                    (attributes, length_ms / 1e3, count)
                    for length_ms, count in zip(lengths_ms, taken, strict=True)
                    if count
                ]
                self._known[name, step] = (
                    now[name, step]
                    if taken == each.counts
                    else _plus(before[name, step], taken, lengths_ms)
                )
        return new


_NONE = Histogram(counts=(0,) * (len(BOUNDS_MS) + 1), sum_ms=0.0)


def _is_of(name: str, sessions: Iterable[str]) -> bool:
    """Whether it is the name of one of `sessions`, or of a member of one."""
    return any(name == one or name.startswith(f"{one}/") for one in sessions)


def _by_step(found: Iterable[Named]) -> Mapping[tuple[str, str], Histogram]:
    return {
        (name, step): histogram
        for name, metrics in found
        for step, histogram in metrics.steps.items()
    }


def _since(now: Histogram, before: Histogram) -> Histogram:
    counts = (late - early for late, early in zip(now.counts, before.counts, strict=True))
    return Histogram(counts=tuple(counts), sum_ms=now.sum_ms - before.sum_ms)


def _plus(found: Histogram, counts: Sequence[int], lengths_ms: Sequence[float]) -> Histogram:
    together = (one + more for one, more in zip(found.counts, counts, strict=True))
    more_ms = sum(one * length_ms for one, length_ms in zip(counts, lengths_ms, strict=True))
    return Histogram(counts=tuple(together), sum_ms=found.sum_ms + more_ms)


def _length_of_each(found: Histogram) -> list[float]:
    """One duration in each class, in milliseconds, such that all together are as long as found."""
    lower = (0.0, *BOUNDS_MS)
    # Above the last bound anything may come; twice the bound stands for it.
    width = [up - low for low, up in zip(lower, (*BOUNDS_MS, 2 * BOUNDS_MS[-1]), strict=True)]
    least = sum(count * low for count, low in zip(found.counts, lower, strict=True))
    room = sum(count * wide for count, wide in zip(found.counts, width, strict=True))
    # Above 0, as a bound belongs to the class below it.
    place = min(max((found.sum_ms - least) / room, 1e-6), 1.0) if room else 0.0
    return [low + place * wide for low, wide in zip(lower, width, strict=True)]
