"""An engine whose worker grows with each call."""

import numpy as np
import pytest

import edgeprep

PICTURE = np.broadcast_to(np.array([10, 200, 30], np.uint8), (4, 4, 3)).copy()


def test_a_worker_that_grows_is_told_within_a_hundred_calls_and_answers_no_more(
    faulty, tmp_path, monkeypatch
):
    import faulty_bundle

    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    path = faulty_bundle.write_faulty(
        tmp_path / "means.edgeprep", {"fake-fp32": {"leak": 11}, "safe-fp32": {}}
    )
    registry = faulty_bundle.registry_of(faulty_bundle.Alone, faulty_bundle.Safe)
    opened = edgeprep.open(path, registry=registry, isolate=True, prefer="alone", probe=False)
    with opened as session:
        assert session.choice.backend == "alone"
        assert session(PICTURE).label == "green"
        before = session.metrics().worker
        assert before.rss_bytes > 2**20
        assert before.cpu_s > 0
        calls = 0
        while not session.events.counts.get("memory"):
            assert session(PICTURE).label == "green"
            calls += 1
            assert calls < 100
        (event,) = (one for one in session.events.kept if one.kind == "memory")
        assert event.details["call_bytes"] == pytest.approx(11 * 2**20, rel=0.1)
        assert session(PICTURE).label == "green"
        assert session.choice.backend == "safe"


def test_a_worker_that_grows_answers_on_where_nothing_else_may(faulty, tmp_path, monkeypatch):
    import faulty_bundle

    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    path = faulty_bundle.write_faulty(
        tmp_path / "means.edgeprep", {"fake-fp32": {"leak": 11}, "safe-fp32": {}}
    )
    registry = faulty_bundle.registry_of(faulty_bundle.Alone, faulty_bundle.Safe)
    opened = edgeprep.open(
        path, registry=registry, isolate=True, prefer="alone", probe=False, strict=True
    )
    with opened as session:
        calls = 0
        while not session.events.counts.get("memory"):
            assert session(PICTURE).label == "green"
            calls += 1
            assert calls < 100
        for _ in range(3):
            assert session(PICTURE).label == "green"
        assert session.choice.backend == "alone"
        assert session.health().state == "ok"
