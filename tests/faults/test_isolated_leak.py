"""An engine whose worker grows with each call."""

import faulty_bundle as bundles
import pytest
from channel_means import GREEN

import edgeprep


def test_a_worker_that_grows_is_told_within_a_hundred_calls_and_answers_no_more(tmp_path):
    path = bundles.write_faulty(
        tmp_path / "means.edgeprep", {"fake-fp32": {"leak": 11}, "safe-fp32": {}}
    )
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)
    opened = edgeprep.open(path, registry=registry, isolate=True, prefer="alone", probe=False)
    with opened as session:
        assert session.choice.backend == "alone"
        assert session(GREEN).label == "green"
        before = session.metrics().worker
        assert before.rss_bytes > 2**20
        assert before.cpu_s > 0
        calls = 0
        while not session.events.counts.get("memory"):
            assert session(GREEN).label == "green"
            calls += 1
            assert calls < 100
        (event,) = (one for one in session.events.kept if one.kind == "memory")
        assert event.details["call_bytes"] == pytest.approx(11 * 2**20, rel=0.1)
        assert session(GREEN).label == "green"
        assert session.choice.backend == "safe"


def test_a_worker_that_grows_answers_on_where_nothing_else_may(tmp_path):
    path = bundles.write_faulty(
        tmp_path / "means.edgeprep", {"fake-fp32": {"leak": 11}, "safe-fp32": {}}
    )
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)
    opened = edgeprep.open(
        path, registry=registry, isolate=True, prefer="alone", probe=False, strict=True
    )
    with opened as session:
        calls = 0
        while not session.events.counts.get("memory"):
            assert session(GREEN).label == "green"
            calls += 1
            assert calls < 100
        for _ in range(3):
            assert session(GREEN).label == "green"
        assert session.choice.backend == "alone"
        assert session.health().state == "ok"
