"""A crash while an engine answers is a verdict, which the next to open the bundle knows."""

import os
import re
import signal

import faulty_bundle as bundles
import pytest
from channel_means import GREEN

import edgeprep
from edgeprep.errors import BackendCrashed

# Slower than the other, and larger.
SAFE = {"slow": 0.003, "note": "a model that never fails, and is neither quick nor small " * 2}


@pytest.fixture
def opened(tmp_path):
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)

    def opened(faults, **keywords):
        variants = {"fake-fp32": faults, "safe-slow": SAFE}
        path = bundles.write_faulty(tmp_path / "later.edgeprep", variants)
        return edgeprep.open(path, registry=registry, seconds=0.0, isolate=True, **keywords)

    return opened


def check_kept(session):
    assert not session.remembered
    assert session.choice.backend == "safe"
    (reason,) = (each.reason for each in session.outcomes if each.candidate.backend == "alone")
    assert re.search(r"by SIGSEGV \(kept from \d{4}", reason)


def test_what_crashes_again_and_again_is_not_chosen_by_the_next_open(opened):
    # Each worker is fine until its 100th run; to prove it takes fewer, to measure it more.
    faults = {"run": "signal:SIGSEGV", "at": 100}
    with opened(faults, strict=True, probe=False) as session:
        assert session.choice.backend == "alone"
        for crashes in range(3):
            assert session.health().links[0].failures == crashes
            with pytest.raises(BackendCrashed, match=r"by SIGSEGV$"):  # noqa: PT012 -- at which
                for _ in range(101):
                    assert session(GREEN).label == "green"
        assert session.health().links[0].state == "out"
    with opened(faults) as session:
        check_kept(session)


def test_what_crashes_when_it_is_loaded_again_is_not_chosen_by_the_next_open(opened, monkeypatch):
    faults = {"load_if_set": "BAD"}
    with opened(faults, strict=True) as session:
        assert session.choice.backend == "alone"
        monkeypatch.setenv("BAD", "signal:SIGSEGV")
        os.kill(session._runner.worker_pid, signal.SIGKILL)
        for death in ("SIGKILL", "SIGSEGV"):
            with pytest.raises(BackendCrashed, match=f"by {death}$"):
                session(GREEN)
    monkeypatch.delenv("BAD")
    with opened(faults) as session:
        check_kept(session)
