"""What sessions count, read by prometheus_client."""

import gc
import re
import weakref
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edgeprep.errors import InputError
from edgeprep.monitor.histogram import BOUNDS_MS
from edgeprep.monitor.process import Worker
from edgeprep.monitor.prometheus import collector, register, text

Samples = dict[tuple[Any, ...], float]


def samples_of(document: str) -> Samples:
    """Every sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(document)
        for sample in family.samples
    }


def sessions_in(registry: CollectorRegistry) -> list[str]:
    """The names of all that are collected, each as often as it is."""
    return [
        sample.labels["session"]
        for family in registry.collect()
        if family.name == "edgeprep_queued"
        for sample in family.samples
    ]


def test_prometheus_reads_what_was_counted(counted: Any) -> None:
    found = samples_of(text(counted()))
    session = ("session", "digits")
    run = (session, ("step", "run"))
    assert found["edgeprep_step_seconds_count", *run] == len(counted.durations_ms)
    sum_s = sum(counted.durations_ms) / 1e3
    assert found["edgeprep_step_seconds_sum", *run] == pytest.approx(sum_s)
    assert found["edgeprep_errors_total", ("error", "ValueError"), session] == 1
    assert found["edgeprep_events_total", ("kind", "fallback"), session] == 1
    assert found["edgeprep_dropped_total", session] == 3
    assert found["edgeprep_queued", session] == 5
    assert found["edgeprep_drift", ("fault", "black"), session] == 1
    assert found["edgeprep_drift", ("fault", "frozen"), session] == 0
    assert found["edgeprep_answering", ("candidate", counted.candidate), session] == 1
    assert found["edgeprep_process_resident_bytes",] > 2**20
    assert found["edgeprep_process_cpu_seconds_total",] > 0


def test_engines_in_processes_of_their_own_have_memory_and_time_of_their_own(counted: Any) -> None:
    alone, ended, here = counted("alone"), counted("ended"), counted("here")
    alone.worker = Worker(rss_bytes=5 * 2**20, cpu_s=1.5)
    ended.worker = Worker(rss_bytes=None, cpu_s=None)
    found = samples_of(text(alone, ended, here))
    workers = {key: value for key, value in found.items() if "worker" in key[0]}
    assert workers == {
        ("edgeprep_worker_resident_bytes", ("session", "alone")): 5 * 2**20,
        ("edgeprep_worker_cpu_seconds_total", ("session", "alone")): 1.5,
    }


def test_buckets_of_prometheus_count_all_that_is_not_above_them(counted: Any) -> None:
    found = samples_of(text(counted()))
    buckets = {
        float(dict(labels)["le"]): value
        for (name, *labels), value in found.items()
        if name == "edgeprep_step_seconds_bucket"
    }
    assert len(buckets) == len(BOUNDS_MS) + 1
    for bound, value in buckets.items():
        within = [one for one in counted.durations_ms if one / 1e3 <= bound * 1.0000001]
        assert value == len(within)


def test_sessions_of_one_name_and_members_have_names_of_their_own(counted: Any) -> None:
    sessions = [counted(), counted(), counted("both", (counted("a"), counted("b")))]
    found = samples_of(text(*sessions))
    names = {dict(labels)["session"] for (name, *labels) in found if name == "edgeprep_queued"}
    assert names == {"digits", "digits#1", "both", "both/a", "both/b"}


def test_a_registry_collects_anew_each_time(counted: Any) -> None:
    session = counted()
    registry = CollectorRegistry()
    registry.register(collector(session))
    labels = {"session": "digits"}
    assert registry.get_sample_value("edgeprep_dropped_total", labels) == 3
    session.meter.dropped(4)
    assert registry.get_sample_value("edgeprep_dropped_total", labels) == 7


def test_parts_of_an_application_register_their_sessions_in_one_registry(counted: Any) -> None:
    """All in one valid document: each family once, with the process in it once."""
    registry = CollectorRegistry()
    first, second = counted(), counted()
    made = register(first, registry=registry)
    assert register(second, counted("faces"), registry=registry) is made
    assert register(first, registry=registry) is made
    assert sessions_in(registry) == ["digits", "digits#1", "faces"]
    document = generate_latest(registry).decode()
    assert document.count("# TYPE edgeprep_step_seconds histogram") == 1
    assert document.count("\nedgeprep_process_resident_bytes ") == 1
    second.meter.dropped(4)
    found = samples_of(document), samples_of(generate_latest(registry).decode())
    dropped = ("edgeprep_dropped_total", ("session", "digits#1"))
    assert [each[dropped] for each in found] == [3, 7]


def test_a_session_that_is_closed_makes_room_for_the_next(counted: Any) -> None:
    registry = CollectorRegistry()
    first, second = counted(), counted()
    register(first, second, registry=registry)
    first.closed = True
    assert sessions_in(registry) == ["digits", "digits#1"]
    gone = weakref.ref(first)
    del first
    register(counted(), registry=registry)
    assert sessions_in(registry) == ["digits#1", "digits"]
    gc.collect()
    assert gone() is None


def test_what_was_taken_out_of_a_registry_is_not_in_it_again(counted: Any) -> None:
    registry = CollectorRegistry()
    registry.unregister(register(counted("old"), registry=registry))
    assert sessions_in(registry) == []
    register(counted("new"), registry=registry)
    assert sessions_in(registry) == ["new"]


def test_registries_have_sessions_of_their_own_and_one_is_served_by_default(counted: Any) -> None:
    registry = CollectorRegistry()
    register(counted("here"), registry=registry)
    served = register(counted("there"))
    try:
        assert (sessions_in(registry), sessions_in(REGISTRY)) == (["here"], ["there"])
    finally:
        REGISTRY.unregister(served)


@pytest.mark.parametrize("auto_describe", [False, True])
def test_a_registry_with_another_collector_is_refused_and_stays_as_it_is(
    counted: Any, auto_describe: bool
) -> None:
    registry = CollectorRegistry(auto_describe=auto_describe)
    registry.register(collector(counted("first")))
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(collector(counted("second")))
    message = (
        "register: registry must have no collector of sessions but that of register(…), got "
        "another; unregister that one, or give all sessions to it: collector(a, b)"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        register(counted("third"), registry=registry)
    assert sessions_in(registry) == ["first"]


def test_a_session_that_is_given_twice_is_there_once(counted: Any) -> None:
    session = counted()
    found = samples_of(text(session, session))
    assert [key for key in found if key[0] == "edgeprep_queued"] == [
        ("edgeprep_queued", ("session", "digits"))
    ]
