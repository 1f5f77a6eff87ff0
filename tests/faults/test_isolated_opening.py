"""What an engine does while a bundle is opened is a verdict, with its reason; an answer comes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import edgeprep
from edgeprep.errors import InputError, NoUsableBackend
from edgeprep.runtime.private_files import write_private
from edgeprep.workers import Limits

PICTURE = np.broadcast_to(np.array([10, 200, 30], np.uint8), (4, 4, 3)).copy()
SIGNALS = ("SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE", "SIGBUS")
# Larger than the other one, which therefore comes first where nothing is measured.
SAFE = {"safe-fp32": {"note": "a model that never fails, and is not small " * 3}}


@pytest.fixture(autouse=True)
def own_choices(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEPREP_ISOLATE")


@pytest.fixture(scope="module")
def bundles(faulty):
    import faulty_bundle

    return faulty_bundle


@pytest.fixture
def open_faulty(bundles, tmp_path):
    """Opens a bundle with a variant for each of two backends, the second of which never fails."""

    def opened(fault, *, backends=(), **keywords):
        variants = {"fake-fp32": fault, **SAFE}
        path = bundles.write_faulty(tmp_path / "means.edgeprep", variants)
        registry = bundles.registry_of(*(backends or (bundles.Alone, bundles.Safe)))
        keywords = {"seconds": 0.0, "registry": registry, **keywords}
        return edgeprep.open(path, **keywords)

    return opened


def verdict_on(session, backend="alone"):
    return next(
        (outcome.verdict, outcome.reason)
        for outcome in session.outcomes
        if outcome.candidate.backend == backend
    )


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
        assert session(PICTURE).label == "green"
        assert session.choice.backend == "safe"
        verdict, reason = verdict_on(session)
    assert verdict == ("unavailable" if point == "import" else "rejected")
    assert f"got the worker's death by {name}" in reason
    assert [(event.kind, event.details) for event in told] == [("verdict", {"verdict": "crashed"})]


@pytest.mark.parametrize("question", ["options", "refuse"])
def test_a_crash_where_an_engine_is_asked_is_a_verdict_and_the_next_one_answers(
    open_faulty, monkeypatch, question
):
    monkeypatch.setenv(f"FAULT_OF_ALONE_AT_{question.upper()}", "signal:SIGSEGV")
    told = []
    with open_faulty({}, on_event=told.append) as session:
        assert session(PICTURE).label == "green"
        assert session.choice.backend == "safe"
        rule = f"backend 'alone': must answer {question}() in its worker"
        reason = f"{rule}, got the worker's death by SIGSEGV"
        assert verdict_on(session) == ("unavailable", f"BackendCrashed: {reason}")
    assert [(event.kind, event.message) for event in told] == [("verdict", reason)]
    monkeypatch.delenv(f"FAULT_OF_ALONE_AT_{question.upper()}")
    # Of another wish, so that no choice is remembered.
    with open_faulty({}, prefer="fp32") as session:
        verdict, kept = verdict_on(session)
    assert (verdict, kept.partition(" (kept from ")[0]) == ("unavailable", reason)


@pytest.mark.parametrize("question", ["options", "refuse"])
def test_what_an_engine_of_this_process_raises_where_it_is_asked_is_a_reason(
    open_faulty, monkeypatch, question
):
    monkeypatch.setenv(f"FAULT_OF_ALONE_AT_{question.upper()}", "raise:RuntimeError")
    with open_faulty({}, isolate=False) as session:
        assert session(PICTURE).label == "green"
        assert verdict_on(session) == ("unavailable", "RuntimeError: device lost")


@pytest.mark.parametrize("name", SIGNALS)
def test_a_crash_in_the_100th_run_is_an_event_and_the_next_engine_answers(open_faulty, name):
    told = []
    faults = {"run": f"signal:{name}", "at": 99}
    with open_faulty(faults, isolate=True, probe=False, on_event=told.append) as session:
        assert session.choice.backend == "alone"
        assert [session(PICTURE).label for _ in range(105)] == ["green"] * 105
        assert session.choice.backend == "safe"
    assert "failure" in {event.kind for event in told}
    assert f"got the worker's death by {name}" in told[0].message


@pytest.mark.parametrize("how", ["releasing", "holding"])
def test_a_hang_is_a_verdict_at_its_limit(open_faulty, how):
    limits = Limits(load_s=0.3)
    start = time.monotonic()
    with open_faulty({"load": f"hang:{how}"}, limits=limits) as session:
        assert session(PICTURE).label == "green"
        verdict, reason = verdict_on(session)
    assert verdict == "rejected"
    assert "must load a model in its worker within 0.3 s, got no answer" in reason
    assert time.monotonic() - start < 5


def test_an_import_that_hangs_holds_up_nobody_else(open_faulty, monkeypatch):
    monkeypatch.setenv("FAULT_AT_IMPORT", "hang:holding")
    with open_faulty({}, limits=Limits(start_s=3.0)) as session:
        assert session(PICTURE).label == "green"
        reason = "backend 'alone': must start in its worker within 3 s, got no answer"
        assert verdict_on(session) == ("unavailable", reason)


def test_memory_beyond_the_limit_is_a_verdict(open_faulty):
    with open_faulty({"load": "eat:3"}, limits=Limits(memory_bytes=2 * 2**30)) as session:
        assert session(PICTURE).label == "green"
        assert verdict_on(session)[0] == "rejected"
        assert "in 2.0 GiB of addresses, got MemoryError()" in verdict_on(session)[1]


@pytest.mark.parametrize("name", ["RuntimeError", "SystemExit", "KeyboardInterrupt"])
def test_what_an_engine_raises_is_a_reason_and_ends_nothing(open_faulty, name):
    with open_faulty({"run": f"raise:{name}"}) as session:
        assert session(PICTURE).label == "green"
        reason = f"must run a model in its worker, got {name}('device lost')"
        assert verdict_on(session) == ("rejected", f"backend 'alone': {reason}")


def test_when_all_fail_the_error_lists_each_verdict(open_faulty, bundles, tmp_path):
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


def test_at_the_first_open_candidates_run_elsewhere_and_the_chosen_one_here(bundles, tmp_path):
    path = bundles.write_faulty(tmp_path / "who.edgeprep", {"fake-fp32": {"trace": "run"}})
    trace = tmp_path / "run"
    registry = bundles.registry_of(bundles.Alone)

    def processes(**keywords):
        os.environ["TRACE"] = str(trace)
        try:
            with edgeprep.open(path, registry=registry, seconds=0.0, **keywords) as session:
                session(PICTURE)
                before = trace.read_text().split()
                session(PICTURE)
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


def test_a_remembered_choice_ends_with_the_verdicts_in_it(bundles, tmp_path, monkeypatch):
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


def test_a_kept_verdict_ends_with_an_upgrade_of_the_engine(open_faulty, bundles, monkeypatch):
    with open_faulty({"load": "signal:SIGSEGV"}):
        pass
    monkeypatch.setattr(bundles.Alone, "requires", ("json",))  # another library than before
    with open_faulty({"load": "signal:SIGSEGV"}, prefer="fp32") as session:
        assert verdict_on(session)[1].endswith("by SIGSEGV")


def test_kept_verdicts_are_no_reason_for_no_answer(bundles, tmp_path, monkeypatch):
    path = bundles.write_faulty(tmp_path / "one.edgeprep", {"fake-fp32": {"load_if_set": "BAD"}})
    registry = bundles.registry_of(bundles.Alone)
    monkeypatch.setenv("BAD", "signal:SIGSEGV")
    with pytest.raises(NoUsableBackend, match=r"by SIGSEGV$"):
        edgeprep.open(path, registry=registry, seconds=0.0)
    monkeypatch.delenv("BAD")
    with edgeprep.open(path, registry=registry, seconds=0.0) as session:
        assert session(PICTURE).label == "green"


def test_a_backend_that_crashes_when_it_is_imported_is_kept_for_all_bundles(
    open_faulty, bundles, monkeypatch, tmp_path
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


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import faulty_bundle, edgeprep, numpy
registry = faulty_bundle.registry_of(faulty_bundle.Alone, faulty_bundle.Safe)
with edgeprep.open(sys.argv[2], registry=registry, seconds=0.0) as session:
    session(numpy.zeros((4, 4, 3), numpy.uint8))
    print(session.choice.backend)
"""


def test_an_engine_that_kills_this_process_and_no_worker_is_given_up_after_two_deaths(
    bundles, tmp_path, monkeypatch
):
    # `alone` is the faster one, and passes in a worker; in the process of the program it dies.
    variants = {"fake-fp32": {"load_at_home": "signal:SIGSEGV"}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "home.edgeprep", variants)
    command = [sys.executable, "-c", PROGRAM, str(Path(bundles.__file__).parent), str(path)]
    monkeypatch.delenv("PYTHONFAULTHANDLER", raising=False)
    runs = [subprocess.run(command, capture_output=True, text=True, timeout=60) for _ in range(3)]
    assert [run.returncode for run in runs] == [-signal.SIGSEGV, -signal.SIGSEGV, 0]
    assert runs[2].stdout == "safe\n"


def test_a_death_while_a_remembered_choice_loads_sends_it_to_a_worker_again(
    bundles, tmp_path, monkeypatch
):
    variants = {"fake-fp32": {"load_if_set": "BAD"}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "later.edgeprep", variants)
    command = [sys.executable, "-c", PROGRAM, str(Path(bundles.__file__).parent), str(path)]

    def run():
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run().stdout == "alone\n"
    monkeypatch.setenv("BAD", "signal:SIGBUS")  # a driver that was updated to a broken one
    assert run().returncode == -signal.SIGBUS
    assert run().stdout == "safe\n"


def test_a_mark_of_a_living_process_says_nothing(tmp_path):
    from edgeprep.runtime.attempts import Attempts
    from edgeprep.runtime.candidates import Candidate

    candidate = Candidate(variant="onnx-fp32", backend="onnxruntime", device="cpu")
    told = []
    attempts = Attempts("ab" * 32, told.append)
    folder = tmp_path / "cache" / "attempts"
    with attempts.mark(candidate):
        assert attempts.dead() == []
        assert Attempts("cd" * 32, told.append).dead() == []
        (mark,) = folder.iterdir()
        assert mark.stat().st_mode & 0o777 == 0o600
        content = json.loads(mark.read_bytes().partition(b"\n")[2])
    assert not mark.exists()

    def write(**changes):
        body = json.dumps({**content, **changes}).encode()
        write_private(str(mark), mark.name[:32], body, durable=False)

    write(started="1")  # the number was used again
    assert attempts.dead() == [candidate]
    assert attempts.dead() == []
    assert told == []
    write(started="1")
    mark.chmod(0o666)
    assert attempts.dead() == []  # anybody may have written it
    assert not mark.exists()
    rule = "it is not a file of this user alone, whether a process died is not known"
    assert [(event.kind, event.message) for event in told] == [("cache", f"{mark}: {rule}")]
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
    assert attempts.dead() == []
    assert [*folder.iterdir()] == []  # of a process that was killed
    write(started="1", room="pid:[1]")
    assert attempts.dead() == []  # of another container, whose processes nobody here knows
    old = time.time() - 25 * 3600
    os.utime(mark, (old + 2 * 3600, old + 2 * 3600))
    assert attempts.dead() == []
    os.utime(mark, (old, old))
    assert attempts.dead() == []
    assert not mark.exists()


def test_a_class_that_no_worker_can_import_runs_here_and_says_so(open_faulty, bundles, faulty):
    with open_faulty({}, backends=(faulty.local_class(),), prefer="local") as session:
        assert session(PICTURE).label == "green"
        note = (
            "tried in this process, as its class 'local_class.<locals>.Local' cannot be imported "
            "from 'faulty_backends' by name"
        )
        assert session.outcomes[0].reason.endswith(note)


def test_where_no_process_can_be_started_all_is_done_here_and_told_once(open_faulty, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    told = []
    with open_faulty({}, on_event=told.append) as session:
        assert session(PICTURE).label == "green"
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
        assert session(PICTURE).label == "green"
        assert session.choice.backend == "alone"
        os.kill(int(trace.read_text().split()[-1]), signal.SIGKILL)
        assert session(PICTURE).label == "green"
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
            session(PICTURE)
            assert (int(trace.read_text().split()[-1]) == os.getpid()) is is_here
    monkeypatch.setenv("EDGEPREP_ISOLATE", "true")
    message = "EDGEPREP_ISOLATE: must be 0 or 1, or not set, got 'true'"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        open_faulty({})
