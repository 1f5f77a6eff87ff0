"""An engine that kills the application is tried in a worker by the next open."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty_bundle as bundles

from edgeprep.runtime.attempts import Attempts
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.private_files import write_private

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import faulty_bundle as bundles, edgeprep, numpy
registry = bundles.registry_of(bundles.Alone, bundles.Safe)
with edgeprep.open(sys.argv[2], registry=registry, seconds=0.0) as session:
    session(numpy.zeros((4, 4, 3), numpy.uint8))
    print(session.choice.backend)
"""


def test_an_engine_that_kills_this_process_and_no_worker_is_given_up_after_two_deaths(
    tmp_path, monkeypatch
):
    # `alone` is the faster one, and passes in a worker; in the process of the program it dies.
    variants = {"fake-fp32": {"load_at_home": "signal:SIGSEGV"}, "safe-slow": {"slow": 0.003}}
    path = bundles.write_faulty(tmp_path / "home.edgeprep", variants)
    command = [sys.executable, "-c", PROGRAM, str(Path(bundles.__file__).parent), str(path)]
    monkeypatch.delenv("PYTHONFAULTHANDLER", raising=False)
    runs = [subprocess.run(command, capture_output=True, text=True, timeout=60) for _ in range(3)]
    assert [run.returncode for run in runs] == [-signal.SIGSEGV, -signal.SIGSEGV, 0]
    assert runs[2].stdout == "safe\n"


def test_a_death_while_a_remembered_choice_loads_sends_it_to_a_worker_again(tmp_path, monkeypatch):
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
