"""What came about by stricter limits than those that are asked for now is no verdict of now."""

import faulty_bundle as bundles
import pytest
from channel_means import GREEN

import edgeprep
from edgeprep.errors import BackendCrashed, BackendOutOfMemory, BackendTimeout, BackendWrongOutput
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.verdicts import VerdictCache
from edgeprep.workers import Limits

ONE = Candidate(variant="fake-fp32", backend="alone")


@pytest.mark.parametrize("strict", [Limits(run_s=1e-9), Limits(start_s=1e-9)])
def test_an_engine_that_had_no_time_is_tried_again_with_time(tmp_path, strict):
    variants = {"fake-fp32": {}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "two.edgeprep", variants)
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)
    with pytest.raises(edgeprep.errors.NoUsableBackend, match=r"within 1e-09 s"):
        edgeprep.open(path, registry=registry, seconds=0.0, limits=strict)
    with edgeprep.open(path, registry=registry, seconds=0.0) as session:
        assert (session(GREEN).label, session.choice.backend) == ("green", "alone")


def test_a_choice_by_strict_limits_is_none_by_others(tmp_path, monkeypatch):
    variants = {"fake-fp32": {"load_if_set": "SLOW"}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "two.edgeprep", variants)
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)

    def opened(limits=None):
        with edgeprep.open(path, registry=registry, seconds=0.0, limits=limits) as session:
            return session.choice.backend, session.remembered

    monkeypatch.setenv("SLOW", "hang:releasing")
    strict = Limits(load_s=0.3)
    assert opened(strict) == ("safe", False)
    assert opened(strict) == ("safe", True)
    monkeypatch.delenv("SLOW")
    assert opened() == ("alone", False)


@pytest.mark.parametrize(
    ("fault", "then", "now", "is_kept"),
    [
        (BackendTimeout, Limits(load_s=1), Limits(load_s=1), True),
        (BackendTimeout, Limits(load_s=1), Limits(load_s=0.5), True),
        (BackendTimeout, Limits(load_s=1), Limits(load_s=2), False),
        (BackendTimeout, Limits(load_s=1), None, False),
        (BackendTimeout, Limits(start_s=float("inf")), Limits(start_s=float("inf")), True),
        (BackendOutOfMemory, Limits(memory_bytes=10**6), Limits(memory_bytes=10**6), True),
        (BackendOutOfMemory, Limits(memory_bytes=10**6), Limits(memory_bytes=10**7), False),
        (BackendCrashed, Limits(memory_bytes=10**6), None, False),
        (BackendCrashed, None, None, True),
        (BackendWrongOutput, Limits(load_s=1), None, True),
    ],
)
def test_a_verdict_counts_as_long_as_no_limit_allows_more(fault, then, now, is_kept):
    VerdictCache("bundle", print, then).keep(ONE, bundles.Alone, fault("it failed"))
    cache = VerdictCache("bundle", print, now)
    assert (cache.find(ONE, bundles.Alone) is not None, len(cache.times()) == 1) == (
        is_kept,
        is_kept,
    )
