"""Verdicts are kept for a day, or until an engine is another one, and forbid no answer."""

import re
import time

import faulty_bundle as bundles
import pytest
from channel_means import GREEN
from faulty_bundle import verdict_on

import edgeprep
from edgeprep.errors import NoUsableBackend


def test_a_kept_verdict_is_not_tried_again_until_it_is_a_day_old(
    open_faulty, monkeypatch, tmp_path
):
    with open_faulty({"load": "signal:SIGSEGV"}) as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")
    # Of another wish, so that no choice is remembered.
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="fp32") as session:
        verdict, reason = verdict_on(session)
        assert verdict == "rejected"
        assert re.search(r"by SIGSEGV \(kept from \d{4}-\d\d-\d\d \d\d:\d\d\)$", reason)
    now = time.time()
    monkeypatch.setattr("edgeprep.runtime.verdicts.time.time", lambda: now + 24 * 3600 + 60)
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="cpu") as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")


def test_a_remembered_choice_ends_with_the_verdicts_in_it(tmp_path, monkeypatch):
    # `alone` is the faster one, unless its driver is broken.
    variants = {"fake-fp32": {"load_if_set": "BAD"}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "day.edgeprep", variants)
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)

    def opened():
        with edgeprep.open(path, registry=registry, seconds=0.0) as session:
            return session.choice.backend, session.remembered

    monkeypatch.setenv("BAD", "signal:SIGSEGV")
    assert opened() == ("safe", False)
    monkeypatch.delenv("BAD")
    now = time.time()
    assert opened() == ("safe", True)
    monkeypatch.setattr("time.time", lambda: now + 24 * 3600 - 60)
    assert opened() == ("safe", True)
    monkeypatch.setattr("time.time", lambda: now + 24 * 3600 + 60)
    assert opened() == ("alone", False)
    monkeypatch.setattr("time.time", lambda: now + 30 * 24 * 3600)
    assert opened() == ("alone", True)  # there is no verdict in it any more


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_verdict_that_others_may_open_does_not_count_and_is_told(open_faulty, tmp_path, mode):
    with open_faulty({"load": "signal:SIGSEGV"}):
        pass
    (kept,) = (tmp_path / "cache" / "verdicts").iterdir()
    kept.chmod(mode)
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="fp32") as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")  # tried again
        messages = [event.message for event in session.events.kept if event.kind == "cache"]
    assert messages == [f"{kept}: it is not a file of this user alone, its verdicts do not count"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_backend_that_crashed_when_it_was_imported_is_tried_again_after_a_day(
    open_faulty, monkeypatch
):
    monkeypatch.setenv("FAULT_AT_IMPORT", "signal:SIGILL")
    with open_faulty({}) as session:
        assert verdict_on(session)[0] == "unavailable"
    monkeypatch.delenv("FAULT_AT_IMPORT")
    with open_faulty({}) as session:
        assert session.remembered
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 24 * 3600 + 60)
    with open_faulty({}) as session:
        assert not session.remembered
        assert verdict_on(session)[0] in ("chosen", "slower")


def test_a_kept_verdict_ends_with_an_upgrade_of_the_engine(open_faulty, monkeypatch):
    with open_faulty({"load": "signal:SIGSEGV"}):
        pass
    monkeypatch.setattr(bundles.Alone, "requires", ("json",))  # another library than before
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="fp32") as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")


def test_kept_verdicts_are_no_reason_for_no_answer(tmp_path, monkeypatch):
    path = bundles.write_faulty(tmp_path / "one.edgeprep", {"fake-fp32": {"load_if_set": "BAD"}})
    registry = bundles.registry_of(bundles.Alone)
    monkeypatch.setenv("BAD", "signal:SIGSEGV")
    with pytest.raises(NoUsableBackend, match=r"by SIGSEGV$"):
        edgeprep.open(path, registry=registry, seconds=0.0)
    monkeypatch.delenv("BAD")
    with edgeprep.open(path, registry=registry, seconds=0.0) as session:
        assert session(GREEN).label == "green"


def test_a_backend_that_crashes_when_it_is_imported_is_kept_for_all_bundles(
    open_faulty, monkeypatch, tmp_path
):
    monkeypatch.setenv("FAULT_AT_IMPORT", "signal:SIGILL")
    with open_faulty({}):
        pass
    with open_faulty({"other": "bundle"}) as session:
        assert re.search(r"by SIGILL \(kept from \d{4}", verdict_on(session)[1])


def test_a_damaged_verdict_file_is_as_none(open_faulty, tmp_path):
    with open_faulty({"load": "signal:SIGSEGV"}):
        pass
    (kept,) = (tmp_path / "cache" / "verdicts").iterdir()
    kept.write_bytes(kept.read_bytes()[:-3])
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="fp32") as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")
        messages = [event.message for event in session.events.kept if event.kind == "cache"]
    assert messages == [f"{kept}: it is damaged, its verdicts do not count"]
