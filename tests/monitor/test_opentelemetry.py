"""What sessions count, read by OpenTelemetry's SDK."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from edgeprep.monitor import _opentelemetry as twin
from edgeprep.monitor.histogram import BOUNDS_MS
from edgeprep.monitor.opentelemetry import observe
from edgeprep.monitor.process import Worker
from edgeprep.monitor.sessions import Sessions

SESSION = ("session", "digits")
RUN = (SESSION, ("step", "run"))


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    made = MeterProvider([reader])
    yield made
    made.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, dict[tuple[Any, ...], Any]]:
    """The points of every instrument, by its name."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: {
            tuple(sorted((point.attributes or {}).items())): point
            for point in metric.data.data_points
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def classes_of(durations_ms: tuple[float, ...]) -> list[int]:
    """How many are in each class, one by one."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    for duration in durations_ms:
        counts[bisect_left(BOUNDS_MS, duration)] += 1
    return counts


def test_opentelemetry_reads_what_was_counted(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    observe(counted(), provider=provider)
    found = collected(reader)
    assert found["edgeprep.errors"][("error", "ValueError"), SESSION].value == 1
    assert found["edgeprep.events"][("kind", "fallback"), SESSION].value == 1
    assert found["edgeprep.dropped"][SESSION,].value == 3
    assert found["edgeprep.queued"][SESSION,].value == 5
    assert found["edgeprep.drift"][("fault", "black"), SESSION].value == 1
    assert found["edgeprep.drift"][("fault", "frozen"), SESSION].value == 0
    assert found["edgeprep.process.memory"][()].value > 2**20
    assert found["edgeprep.process.cpu.time"][()].value > 0


def test_engines_in_other_processes_have_memory_and_time_of_their_own(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    alone, ended, here = counted("alone"), counted("ended"), counted("here")
    alone.worker = Worker(rss_bytes=5 * 2**20, cpu_s=1.5)
    ended.worker = Worker(rss_bytes=None, cpu_s=None)
    observe(alone, ended, here, provider=provider)
    points = collected(reader)
    (memory,) = points["edgeprep.worker.memory"].items()
    (cpu,) = points["edgeprep.worker.cpu.time"].items()
    assert (memory[0], memory[1].value) == ((("session", "alone"),), 5 * 2**20)
    assert (cpu[0], cpu[1].value) == ((("session", "alone"),), 1.5)


def test_histograms_have_the_counts_and_the_sum_of_each_reading(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    session = counted()
    observe(session, provider=provider)
    # What was counted before is left out, however much it was.
    assert "edgeprep.step.duration" not in collected(reader)
    session.run(counted.durations_ms)
    durations = counted.durations_ms
    for _ in range(3):
        point = collected(reader)["edgeprep.step.duration"][RUN]
        assert point.explicit_bounds == pytest.approx([bound / 1e3 for bound in BOUNDS_MS])
        assert list(point.bucket_counts) == classes_of(durations)
        # One of them is beyond all bounds, so that it is known from the sum alone.
        assert point.sum == pytest.approx(sum(durations) / 1e3, rel=1e-6)
        session.run((0.7, 3.0, 3.5))
        durations += (0.7, 3.0, 3.5)


def test_what_is_too_much_for_one_reading_comes_with_the_next_ones(
    counted: Any,
    reader: InMemoryMetricReader,
    provider: MeterProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of fast and slow steps alike, so that the histogram looks as it will."""
    monkeypatch.setattr(twin, "_MOST", 50)
    session, durations = counted(), (0.7,) * 80 + (3.0,) * 40 + (700.0,)
    observe(session, provider=provider)
    session.run(durations)
    seen, readings = [], 0
    while sum(seen) < len(durations):
        point = collected(reader)["edgeprep.step.duration"][RUN]
        assert sum(point.bucket_counts) - sum(seen) <= 50
        seen, readings = list(point.bucket_counts), readings + 1
        if readings == 1:
            # 50 of 121: two fast ones for each that is slower, and their time.
            assert [count for count in seen if count] == [33, 16]
            assert point.sum == pytest.approx((33 * 0.7 + 16 * 3.0) / 1e3, rel=0.3)
        assert readings < 10
    assert readings == 3
    assert seen == classes_of(durations)
    assert point.sum == pytest.approx(sum(durations) / 1e3, rel=1e-6)


def test_sessions_of_later_calls_join_those_that_a_provider_has(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    first, second = counted(), counted()
    observe(first, provider=provider)
    first.run((0.7,))
    observe(second, first, provider=provider)
    second.run((3.0,))
    found = collected(reader)
    assert {key: point.value for key, point in found["edgeprep.dropped"].items()} == {
        (("session", "digits"),): 3,
        (("session", "digits#1"),): 3,
    }
    # What came between the calls is in it; what the second one had before is not.
    steps = {dict(key)["session"]: point for key, point in found["edgeprep.step.duration"].items()}
    assert {name: list(point.bucket_counts) for name, point in steps.items()} == {
        "digits": classes_of((0.7,)),
        "digits#1": classes_of((3.0,)),
    }


def test_a_session_that_is_closed_leaves_its_name_to_one_that_comes_later(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    first, second, third = counted(), counted(), counted()
    observe(first, second, provider=provider)
    first.run((0.7, 0.7))
    first.closed = True
    # What it has counted last is handed on.
    steps = collected(reader)["edgeprep.step.duration"]
    assert {dict(key)["session"]: point.count for key, point in steps.items()} == {"digits": 2}
    observe(third, provider=provider)
    third.run((3.0,))
    second.run((0.7,))
    found = collected(reader)
    steps = found["edgeprep.step.duration"]
    assert {dict(key)["session"]: point.count for key, point in steps.items()} == {
        "digits": 3,
        "digits#1": 1,
    }
    assert len(found["edgeprep.dropped"]) == 2


def test_readers_that_ask_at_once_have_each_duration_once(
    counted: Any, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    # Where both look at what is known before either has written, each records all of it.
    both = Barrier(2)

    class Known(dict[Any, Any]):
        def get(self, *key: Any) -> Any:
            found = super().get(*key)
            with suppress(BrokenBarrierError):
                both.wait(0.3)
            return found

    durations = twin._Durations(provider.get_meter("edgeprep"))
    durations._known = Known()
    sessions = Sessions()
    sessions.join([counted()])
    threads = [Thread(target=durations.record, args=(sessions,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    point = collected(reader)["edgeprep.step.duration"][RUN]
    assert sum(point.bucket_counts) == len(counted.durations_ms)
