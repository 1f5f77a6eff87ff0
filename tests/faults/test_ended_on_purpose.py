"""A worker that the application itself ends is nobody's fault: nothing is told, nothing is kept."""

import subprocess
import sys
import time
from pathlib import Path

import faulty_bundle as bundles
import pytest
from channel_means import GREEN

import edgeprep

FAKES = str(Path(bundles.__file__).parent)
VARIANTS = {
    "fake-fp32": {"load_if_set": "AT_LOAD", "slow": 0.005, "note": "neither quick nor small " * 9},
    "safe-fp32": {},
}
# "safe" answers; a worker of "alone" is made ready beside the calls, and stays at some point.
BEGIN = """
import atexit, os, sys, threading, time
sys.path.insert(0, sys.argv[1])
late = []
atexit.register(lambda: late and late.pop()())
import faulty_bundle as bundles
from channel_means import GREEN
import edgeprep
from edgeprep.errors import ClosedError

path, reached, point = sys.argv[2:5]
registry = bundles.registry_of(bundles.Alone, bundles.Safe)

def until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)

def opened(**keywords):
    return edgeprep.open(path, registry=registry, seconds=0.0, isolate=True, **keywords)
"""
RESERVE = """
session = opened()
assert session.choice.backend == "safe"
os.environ[point] = "stay:" + reached
session(GREEN)
until(lambda: os.path.exists(reached))

def call_late():
    try:
        session(GREEN)
    except ClosedError:
        print("closed")
"""
ENDS = {
    "the program ends": ("", ""),
    "the session is closed before": ("session.close()", ""),
    "nobody has the session": ("del session", ""),
    "the last thread calls again": ("late.append(call_late)", "closed\n"),
}
POINTS = {"at its start": "FAULT_AT_IMPORT", "while it loads": "AT_LOAD"}


def run(program, point, tmp_path):
    """What it prints, for people too, and what it leaves of verdicts and marks."""
    path = bundles.write_faulty(tmp_path / "two.edgeprep", VARIANTS)
    arguments = [FAKES, str(path), str(tmp_path / "reached"), point]
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept = [*(tmp_path / "cache" / "verdicts").glob("*"), *tmp_path.glob("cache/attempts/*")]
    return done.stdout, done.stderr, kept


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("point", POINTS)
def test_what_is_made_ready_when_the_program_ends_brings_no_verdict(tmp_path, end, point):
    ending, said = ENDS[end]
    start = time.monotonic()
    assert run(RESERVE + ending, POINTS[point], tmp_path) == (said, "", [])
    assert (tmp_path / "reached").exists()
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("point", POINTS)
def test_what_is_tried_when_the_program_ends_brings_no_verdict_and_no_choice(tmp_path, point):
    program = """
os.environ[point] = "stay:" + reached
threading.Thread(target=opened, daemon=True).start()
until(lambda: os.path.exists(reached))
"""
    assert run(program, POINTS[point], tmp_path) == ("", "", [])
    assert (tmp_path / "reached").exists()
    assert not list((tmp_path / "cache").glob("choices/*"))


def test_calls_of_daemon_threads_are_waited_for_before_their_workers_are_ended(tmp_path):
    program = """
answered = []
def loop():
    while True:
        answered.append(session(GREEN).label)
session = opened(prefer="alone")
for _ in range(4):
    threading.Thread(target=loop, daemon=True).start()
until(lambda: len(answered) > 20)
late.append(lambda: print(set(answered), session.health().failures))
"""
    assert run(program, "AT_LOAD", tmp_path) == ("{'green'} 0\n", "", [])


def test_a_call_that_hangs_when_the_program_ends_brings_no_verdict(tmp_path):
    program = """
session = opened(prefer="alone")
os.kill(session._runner.worker_pid, 19)
threading.Thread(target=session, args=(GREEN,), daemon=True).start()
time.sleep(0.3)
"""
    assert run(program, "AT_LOAD", tmp_path) == ("", "", [])


def test_what_is_loaded_here_when_the_program_ends_leaves_no_mark(tmp_path):
    program = """
alone = bundles.registry_of(bundles.Alone)
os.environ[point] = "stay:" + reached
def load():
    edgeprep.open(path, registry=alone, probe=False)
threading.Thread(target=load, daemon=True).start()
until(lambda: os.path.exists(reached))
print(len(os.listdir(os.path.join(os.environ["EDGEPREP_CACHE"], "attempts"))))
"""
    assert run(program, "AT_LOAD", tmp_path) == ("1\n", "", [])


def test_a_crash_at_the_start_of_a_reserve_is_told_and_not_kept_of_the_whole_engine(
    tmp_path, monkeypatch
):
    path = bundles.write_faulty(tmp_path / "two.edgeprep", VARIANTS)
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)
    told = []
    with edgeprep.open(path, registry=registry, seconds=0.0, isolate=True) as session:
        session.events.listen(told.append)
        monkeypatch.setenv("FAULT_AT_IMPORT", "signal:SIGSEGV")
        session(GREEN)
        session._runner._tending.background.wait()
    # Where it was to be loaded, and where it was asked what else it could run.
    reason = "backend 'alone': must start in its worker, got the worker's death by SIGSEGV"
    assert [event.message for event in told] == [reason, reason]
    monkeypatch.delenv("FAULT_AT_IMPORT")
    with edgeprep.open(path, registry=registry, seconds=0.0, prefer="fp32") as session:
        verdicts = {each.candidate.backend: each.verdict for each in session.outcomes}
    assert verdicts["alone"] == "slower"
