"""What an engine does while a bundle is opened is a verdict, with its reason; an answer comes."""

import os
import re
import signal
import sys
import time

import faulty_backends as faulty
import faulty_bundle as bundles
import pytest
from channel_means import GREEN
from faulty_bundle import verdict_on

import edgeprep
from edgeprep.errors import InputError, NoUsableBackend
from edgeprep.workers import Limits

SIGNALS = ("SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE", "SIGBUS")


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("point", ["import", "load", "first run"])
def test_a_crash_of_one_engine_is_a_verdict_and_the_next_one_answers(
    open_faulty, monkeypatch, name, point
):
    fault = f"signal:{name}"
    if point == "import":
        monkeypatch.setenv("FAULT_AT_IMPORT", fault)
    faults = {
        "import": {},
        "load": {"load": fault},
        "first run": {"run": fault},
    }[point]
    told = []
    with open_faulty(faults, on_event=told.append) as session:
        assert session(GREEN).label == "green"
        assert session.choice.backend == "safe"
        verdict, reason = verdict_on(session)
    assert verdict == ("unavailable" if point == "import" else "rejected")
    assert f"got the worker's death by {name}" in reason
    assert [(event.kind, event.details) for event in told] == [("verdict", {"verdict": "crashed"})]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_crash_in_the_100th_run_is_an_event_and_the_next_engine_answers(open_faulty, name):
    told = []
    faults = {"run": f"signal:{name}", "at": 99}
    with open_faulty(faults, isolate=True, probe=False, on_event=told.append) as session:
        assert session.choice.backend == "alone"
        assert [session(GREEN).label for _ in range(105)] == ["green"] * 105
        assert session.choice.backend == "safe"
    assert "failure" in {event.kind for event in told}
    assert f"got the worker's death by {name}" in told[0].message


@pytest.mark.parametrize("how", ["releasing", "holding"])
def test_a_hang_is_a_verdict_at_its_limit(open_faulty, how):
    limits = Limits(load_s=0.3)
    start = time.monotonic()
    with open_faulty({"load": f"hang:{how}"}, limits=limits) as session:
        assert session(GREEN).label == "green"
        verdict, reason = verdict_on(session)
    assert verdict == "rejected"
    assert "must load a model in its worker within 0.3 s, got no answer" in reason
    assert time.monotonic() - start < 5


def test_an_import_that_hangs_holds_up_nobody_else(open_faulty, monkeypatch):
    monkeypatch.setenv("FAULT_AT_IMPORT", "hang:holding")
    with open_faulty({}, limits=Limits(start_s=3.0)) as session:
        assert session(GREEN).label == "green"
        reason = "backend 'alone': must start in its worker within 3 s, got no answer"
        assert verdict_on(session) == ("unavailable", reason)


def test_memory_beyond_the_limit_is_a_verdict(open_faulty):
    with open_faulty({"load": "eat:3"}, limits=Limits(memory_bytes=2 * 2**30)) as session:
        assert session(GREEN).label == "green"
        assert verdict_on(session)[0] == "rejected"
        assert "in 2.0 GiB of addresses, got MemoryError()" in verdict_on(session)[1]


@pytest.mark.parametrize("name", ["RuntimeError", "SystemExit", "KeyboardInterrupt"])
def test_what_an_engine_raises_is_a_reason_and_ends_nothing(open_faulty, name):
    with open_faulty({"run": f"raise:{name}"}) as session:
        assert session(GREEN).label == "green"
        reason = f"must run a model in its worker, got {name}('device lost')"
        assert verdict_on(session) == ("rejected", f"backend 'alone': {reason}")


def test_when_all_fail_the_error_lists_each_verdict(open_faulty, tmp_path):
    class_of = {
        "fake-crash": {"load": "signal:SIGSEGV"},
        "fake-raise": {"run": "raise:RuntimeError"},
        "fake-wrong": {"wrong": 1.05},
    }
    path = bundles.write_faulty(tmp_path / "bad.edgeprep", class_of)
    with pytest.raises(NoUsableBackend, match=r"at least one candidate must run") as caught:
        edgeprep.open(path, registry=bundles.registry_of(bundles.Alone), seconds=0.0)
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(", ", 1)[0] for line in lines] == [
        "  fake-wrong alone cpu threads=1: rejected",
        "  fake-crash alone cpu threads=1: rejected",
        "  fake-raise alone cpu threads=1: rejected",
    ]
    assert "wrong numbers: relative error" in lines[0]
    assert lines[1].endswith("got the worker's death by SIGSEGV")
    assert lines[2].endswith("got RuntimeError('device lost')")


def test_at_the_first_open_candidates_run_elsewhere_and_the_chosen_one_here(tmp_path):
    path = bundles.write_faulty(tmp_path / "who.edgeprep", {"fake-fp32": {"trace": "run"}})
    trace = tmp_path / "run"
    registry = bundles.registry_of(bundles.Alone)

    def processes(**keywords):
        os.environ["TRACE"] = str(trace)
        try:
            with edgeprep.open(path, registry=registry, seconds=0.0, **keywords) as session:
                session(GREEN)
                before = trace.read_text().split()
                session(GREEN)
                answered = trace.read_text().split()[len(before) :]
        finally:
            del os.environ["TRACE"]
        trace.unlink()
        return {int(pid) == os.getpid() for pid in before[:-1]}, {
            int(pid) == os.getpid() for pid in answered
        }

    first, answered = processes()
    assert first == {True, False}  # tried there, proven again here
    assert answered == {True}
    assert processes() == ({True}, {True})  # remembered
    assert processes(isolate=True) == ({False}, {False})
    assert processes(isolate=False, prefer="alone") == ({True}, {True})


def test_a_class_that_no_worker_can_import_runs_here_and_says_so(open_faulty):
    with open_faulty({}, backends=(faulty.local_class(),), prefer="local") as session:
        assert session(GREEN).label == "green"
        note = (
            "tried in this process, as its class 'local_class.<locals>.Local' cannot be imported "
            "from 'faulty_backends' by name"
        )
        assert session.outcomes[0].reason.endswith(note)


def test_where_no_process_can_be_started_all_is_done_here_and_told_once(open_faulty, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    told = []
    with open_faulty({}, on_event=told.append) as session:
        assert session(GREEN).label == "green"
    message = "engines are tried in this process, as no Python interpreter is known that could run"
    assert [(event.kind, event.message) for event in told] == [("verdict", f"{message} a worker")]


def test_an_isolated_session_answers_with_its_next_candidate_when_its_worker_is_killed(
    open_faulty, tmp_path, monkeypatch
):
    trace = tmp_path / "run"
    monkeypatch.setenv("TRACE", str(trace))
    told = []
    with open_faulty(
        {"trace": "run"}, isolate=True, on_event=told.append, prefer="alone"
    ) as session:
        assert session(GREEN).label == "green"
        assert session.choice.backend == "alone"
        os.kill(int(trace.read_text().split()[-1]), signal.SIGKILL)
        assert session(GREEN).label == "green"
        assert session.choice.backend == "safe"
    assert {event.kind for event in told} >= {"failure", "fallback"}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"isolate": "yes"}, "isolate: must be True, False or None, got 'yes'"),
        ({"limits": 3}, "limits: must be edgeprep.workers.Limits or None, got 3"),
    ],
)
def test_keywords_that_are_none_are_refused(open_faulty, keywords, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        open_faulty({}, **keywords)


def test_the_variable_says_what_none_means(open_faulty, monkeypatch, tmp_path):
    trace = tmp_path / "run"
    monkeypatch.setenv("TRACE", str(trace))
    for word, is_here in (("0", True), ("1", False)):
        monkeypatch.setenv("EDGEPREP_ISOLATE", word)
        with open_faulty({"trace": "run"}, prefer="alone") as session:
            session(GREEN)
            assert (int(trace.read_text().split()[-1]) == os.getpid()) is is_here
    monkeypatch.setenv("EDGEPREP_ISOLATE", "true")
    message = "EDGEPREP_ISOLATE: must be 0 or 1, or not set, got 'true'"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        open_faulty({})
