"""Forks, ends of the program, and sessions that are dropped: no hang and no crash."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgeprep
from edgeprep.conversion import Result
from edgeprep.monitor import Event
from edgeprep.workers import Limits

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

LIFETIMES = Path(__file__).parents[2] / "tools" / "benchmarks" / "lifetimes.py"
PICTURE = np.zeros((40, 52, 3), np.uint8)
ENGINES = {"onnxruntime": "onnx-fp32", "openvino": "openvino-fp32", "litert": "tflite-fp32"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("what", "rounds"), [("forks", 4), ("ends", 2)])
def test_no_way_to_end_hangs_or_crashes(
    result: Result, engine: str, what: str, rounds: int
) -> None:
    command = [sys.executable, LIFETIMES, what, result.bundle, ENGINES[engine], str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == (f"{rounds} of {rounds}\n", 0), done.stderr
    assert "terminate called" not in done.stderr


def worker_of(session: edgeprep.Session) -> int:
    """The process that answers, once nothing is loaded beside it."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return int(children.read_text(encoding="ascii").split()[-1])


@pytest.fixture
def isolated(result: Result, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session whose engine is in a worker that may take a second for a call."""
    told: list[Event] = []
    with edgeprep.open(
        result.bundle,
        prefer="onnx-fp32",
        probe=False,
        isolate=True,
        limits=Limits(run_s=1.0),
        on_event=told.append,
    ) as session:
        yield SimpleNamespace(session=session, told=told, worker=worker_of(session))


def test_a_worker_that_stands_still_for_a_moment_is_waited_for(isolated: Any) -> None:
    label = isolated.session(PICTURE).label
    os.kill(isolated.worker, signal.SIGSTOP)
    Timer(0.3, os.kill, (isolated.worker, signal.SIGCONT)).start()
    assert isolated.session(PICTURE).label == label
    assert isolated.told == []


def test_a_worker_that_stands_still_for_long_is_replaced_once_and_has_no_verdict(
    isolated: Any, tmp_path: Path
) -> None:
    label = isolated.session(PICTURE).label
    os.kill(isolated.worker, signal.SIGSTOP)
    began = monotonic()
    assert isolated.session(PICTURE).label == label
    assert monotonic() - began < 1.0 + 3.0
    for _ in range(20):
        assert isolated.session(PICTURE).label == label
    isolated.session._runner._tending.background.wait()
    assert isolated.session(PICTURE).label == label
    assert isolated.session.choice == isolated.session.outcomes[0].candidate
    kinds = [event.kind for event in isolated.told]
    assert kinds == ["failure", "fallback", "restored"]
    # Whoever stopped it, it was not the backend that was slow.
    assert isolated.told[0].details["error"] == "BackendError"
    assert not list((tmp_path / "cache").glob("**/verdicts/*"))


def test_many_threads_that_import_and_open_at_once_all_answer(result: Result) -> None:
    command = [sys.executable, LIFETIMES, "imports", result.bundle, "onnx-fp32", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("1 of 1\n", 0), done.stderr
