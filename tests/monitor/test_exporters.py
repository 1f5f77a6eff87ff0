"""What sessions count, read by the libraries that collect it."""

import builtins
import re
import sys
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from edgeprep.errors import BackendUnavailable, InputError
from edgeprep.monitor import Event, Events, Meter
from edgeprep.monitor.drift import DriftReport
from edgeprep.monitor.histogram import BOUNDS_MS
from edgeprep.monitor.metrics import Metrics
from edgeprep.monitor.opentelemetry import observe
from edgeprep.monitor.process import Worker
from edgeprep.monitor.prometheus import collector, text

DURATIONS_MS = (0.003, 0.3, 2.0, 2.5, 40.0, 41.0, 44.0, 80_000.0)


class Counted:
    """A session that has counted."""

    def __init__(self, name="digits", members=()):
        self.name, self.members, self.worker = name, members, None
        self.meter, self.events = Meter(), Events(name)
        for duration in DURATIONS_MS:
            self.meter.took("run", duration / 1e3)
        self.meter.failed(ValueError("no"))
        self.meter.dropped(3)
        self.meter.queued(5)
        self.events.tell(Event(kind="fallback", message="no"))

    def run(self, durations_ms):
        for duration in durations_ms:
            self.meter.took("run", duration / 1e3)

    def metrics(self):
        return Metrics.of(
            self.meter,
            self.events,
            session=self.name,
            candidate='onnx-int8 onnxruntime cpu "{threads: 1}"',
            drift=DriftReport(faults=("black",), watched=("frozen", "black")),
            worker=self.worker,
            members={member.name: member.metrics() for member in self.members},
        )


def samples_of(document):
    """Every sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(document)
        for sample in family.samples
    }


def test_prometheus_reads_what_was_counted():
    found = samples_of(text(Counted()))
    session = ("session", "digits")
    run = (session, ("step", "run"))
    assert found["edgeprep_step_seconds_count", *run] == len(DURATIONS_MS)
    assert found["edgeprep_step_seconds_sum", *run] == pytest.approx(sum(DURATIONS_MS) / 1e3)
    assert found["edgeprep_errors_total", ("error", "ValueError"), session] == 1
    assert found["edgeprep_events_total", ("kind", "fallback"), session] == 1
    assert found["edgeprep_dropped_total", session] == 3
    assert found["edgeprep_queued", session] == 5
    assert found["edgeprep_drift", ("fault", "black"), session] == 1
    assert found["edgeprep_drift", ("fault", "frozen"), session] == 0
    candidate = ("candidate", 'onnx-int8 onnxruntime cpu "{threads: 1}"')
    assert found["edgeprep_answering", candidate, session] == 1
    assert found["edgeprep_process_resident_bytes",] > 2**20
    assert found["edgeprep_process_cpu_seconds_total",] > 0


WORKER = Worker(rss_bytes=5 * 2**20, cpu_s=1.5)
ENDED = Worker(rss_bytes=None, cpu_s=None)


def test_engines_in_processes_of_their_own_have_memory_and_time_of_their_own():
    alone, ended, here = Counted("alone"), Counted("ended"), Counted("here")
    alone.worker, ended.worker = WORKER, ENDED
    found = samples_of(text(alone, ended, here))
    workers = {key: value for key, value in found.items() if "worker" in key[0]}
    assert workers == {
        ("edgeprep_worker_resident_bytes", ("session", "alone")): 5 * 2**20,
        ("edgeprep_worker_cpu_seconds_total", ("session", "alone")): 1.5,
    }
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe(alone, ended, here, provider=provider)
    points = collected(reader)
    (memory,) = points["edgeprep.worker.memory"].items()
    (cpu,) = points["edgeprep.worker.cpu.time"].items()
    assert (memory[0], memory[1].value) == ((("session", "alone"),), 5 * 2**20)
    assert (cpu[0], cpu[1].value) == ((("session", "alone"),), 1.5)
    provider.shutdown()


def test_buckets_of_prometheus_count_all_that_is_not_above_them():
    found = samples_of(text(Counted()))
    buckets = {
        float(dict(labels)["le"]): value
        for (name, *labels), value in found.items()
        if name == "edgeprep_step_seconds_bucket"
    }
    assert len(buckets) == len(BOUNDS_MS) + 1
    for bound, value in buckets.items():
        assert value == sum(duration / 1e3 <= bound * 1.0000001 for duration in DURATIONS_MS)


def test_sessions_of_one_name_and_members_have_names_of_their_own():
    sessions = [Counted(), Counted(), Counted("both", (Counted("a"), Counted("b")))]
    found = samples_of(text(*sessions))
    names = {dict(labels)["session"] for (name, *labels) in found if name == "edgeprep_queued"}
    assert names == {"digits", "digits#1", "both", "both/a", "both/b"}


@pytest.mark.parametrize("use", [collector, text])
@pytest.mark.parametrize("foreign", [3, None])
def test_what_is_no_session_is_refused_at_once(use, foreign):
    message = rf"^collector: sessions\[1\] must be a session, got {foreign}$"
    with pytest.raises(InputError, match=message):
        use(Counted(), foreign)


def test_a_registry_collects_anew_each_time():
    counted = Counted()
    registry = CollectorRegistry()
    registry.register(collector(counted))
    labels = {"session": "digits"}
    assert registry.get_sample_value("edgeprep_dropped_total", labels) == 3
    counted.meter.dropped(4)
    assert registry.get_sample_value("edgeprep_dropped_total", labels) == 7


def collected(reader):
    """The points of every instrument, by its name."""
    data = reader.get_metrics_data()
    return {
        metric.name: {
            tuple(sorted(point.attributes.items())): point for point in metric.data.data_points
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_opentelemetry_reads_what_was_counted():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe(Counted(), provider=provider)
    found = collected(reader)
    session = ("session", "digits")
    assert found["edgeprep.errors"][("error", "ValueError"), session].value == 1
    assert found["edgeprep.events"][("kind", "fallback"), session].value == 1
    assert found["edgeprep.dropped"][session,].value == 3
    assert found["edgeprep.queued"][session,].value == 5
    assert found["edgeprep.drift"][("fault", "black"), session].value == 1
    assert found["edgeprep.drift"][("fault", "frozen"), session].value == 0
    assert found["edgeprep.process.memory"][()].value > 2**20
    assert found["edgeprep.process.cpu.time"][()].value > 0
    provider.shutdown()


RUN = (("session", "digits"), ("step", "run"))


def classes_of(durations_ms):
    """How many are in each class, one by one."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    for duration in durations_ms:
        counts[bisect_left(BOUNDS_MS, duration)] += 1
    return counts


def test_histograms_of_opentelemetry_have_the_counts_and_the_sum_of_each_reading():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    counted = Counted()
    observe(counted, provider=provider)
    # What was counted before is left out, however much it was.
    assert "edgeprep.step.duration" not in collected(reader)
    counted.run(DURATIONS_MS)
    durations = list(DURATIONS_MS)
    for _ in range(3):
        point = collected(reader)["edgeprep.step.duration"][RUN]
        assert point.explicit_bounds == pytest.approx([bound / 1e3 for bound in BOUNDS_MS])
        assert list(point.bucket_counts) == classes_of(durations)
        # One of them is beyond all bounds, so that it is known from the sum alone.
        assert point.sum == pytest.approx(sum(durations) / 1e3, rel=1e-6)
        counted.run((0.7, 3.0, 3.5))
        durations += (0.7, 3.0, 3.5)
    provider.shutdown()


def test_readers_that_ask_at_once_have_each_duration_once():
    from edgeprep.monitor import _opentelemetry as twin

    # Where both look at what is known before either has written, each records all of it.
    both = Barrier(2)

    class Known(dict):
        def get(self, *key):
            found = super().get(*key)
            with suppress(BrokenBarrierError):
                both.wait(0.3)
            return found

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    durations = twin._Durations(provider.get_meter("edgeprep"), ())
    durations._known = Known()
    found = Counted().metrics()
    threads = [Thread(target=durations.record, args=("digits", found)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    point = collected(reader)["edgeprep.step.duration"][RUN]
    assert list(point.bucket_counts) == classes_of(DURATIONS_MS)
    provider.shutdown()


@pytest.mark.parametrize(
    ("use", "module", "message"),
    [
        (
            collector,
            "prometheus_client",
            (
                "Prometheus needs prometheus_client, which is not installed; "
                "pip install edgeprep[prometheus]"
            ),
        ),
        (
            observe,
            "opentelemetry",
            (
                "OpenTelemetry needs opentelemetry, which is not installed; "
                "pip install edgeprep[opentelemetry]"
            ),
        ),
    ],
    ids=["prometheus", "opentelemetry"],
)
def test_where_the_library_is_absent_it_says_what_to_install(monkeypatch, use, module, message):
    for name in [*sys.modules]:
        if name.partition(".")[0] == module or name.startswith("edgeprep.monitor._"):
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def absent(name, *rest, **more):
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$"):
        use(Counted())


def test_what_the_extras_need_is_what_is_imported():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert [need.partition(">=")[0] for need in extras["prometheus"]] == ["prometheus_client"]
    assert [need.partition(">=")[0] for need in extras["opentelemetry"]] == ["opentelemetry-sdk"]
