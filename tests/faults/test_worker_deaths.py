"""What dies, hangs or is stopped in a worker is an error here, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty_backends as faulty
import numpy as np
import pytest
from channel_means import RAMP, RAMP_MEANS

from edgeprep.errors import BackendCrashed, BackendError, BackendOutOfMemory, BackendTimeout
from edgeprep.workers import Limits
from edgeprep.workers.wire import Trouble
from edgeprep.workers.worker import Worker

FAKES = str(Path(faulty.__file__).parent)


# All five signals at each point are in test_isolated_opening.py.
@pytest.mark.parametrize("point", ["import", "load", "first run", "100th run"])
def test_a_crash_is_an_error_that_names_the_signal(backends, monkeypatch, point):
    fault = "signal:SIGABRT"
    if point == "import":
        monkeypatch.setenv("FAULT_AT_IMPORT", fault)
    backend = backends()

    def use():
        model = faulty.model_of(
            load=fault if point == "load" else "",
            run=fault if "run" in point else "",
            at=99 if point == "100th run" else 0,
        )
        runner = backend.load(model, backend.devices()[0], {})
        for _ in range(100):
            runner.run((RAMP,))

    task = {"import": "start", "load": "load a model"}.get(point, "run a model")
    message = f"backend 'faulty': must {task} in its worker, got the worker's death by SIGABRT"
    with pytest.raises(BackendCrashed, match=f"^{re.escape(message)}$"):
        use()


def test_a_real_fault_of_memory_is_a_crash_and_the_next_load_has_a_new_worker(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(run="null"), backend.devices()[0], {})
    message = "backend 'faulty': must run a model in its worker, got the worker's death by SIGSEGV"
    for _ in range(2):
        with pytest.raises(BackendCrashed, match=f"^{message}$"):
            runner.run((RAMP,))
    runner.close()
    again = backend.load(faulty.model_of(), backend.devices()[0], {})
    np.testing.assert_array_equal(again.run((RAMP,))[0], RAMP_MEANS)


def test_a_worker_that_exits_is_a_crash_with_its_status_and_last_words(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(run="exit:3"), backend.devices()[0], {})
    message = "got the worker's death with exit status 3; its last words: 'out of tape'"
    with pytest.raises(BackendCrashed, match=f"{re.escape(message)}$"):
        runner.run((RAMP,))


@pytest.mark.parametrize("how", ["releasing", "holding"])
@pytest.mark.parametrize("point", ["import", "load", "run"])
def test_a_hang_ends_at_its_limit(backends, monkeypatch, how, point):
    fault = f"hang:{how}"
    if point == "import":
        monkeypatch.setenv("FAULT_AT_IMPORT", fault)
        backend = backends(start_s=0.3)
    else:
        backend = backends(load_s=0.3, run_s=0.3)
        backend.wait_until_ready()
    task = {"import": "start", "load": "load a model", "run": "run a model"}[point]
    start = time.monotonic()
    rule = f"backend 'faulty': must {task} in its worker within 0.3 s, got no answer"
    with pytest.raises(BackendTimeout, match=f"^{re.escape(rule)}$"):
        backend.load(faulty.model_of(**{point: fault}), backend.devices()[0], {}).run((RAMP,))
    assert time.monotonic() - start < 0.3 + 0.5


def test_memory_beyond_the_limit_is_refused_there(backends):
    backend = backends(memory_bytes=2 * 2**30)
    message = "in 2.0 GiB of addresses, got MemoryError()"
    with pytest.raises(BackendOutOfMemory, match=f"{re.escape(message)}$"):
        backend.load(faulty.model_of(load="eat:3"), backend.devices()[0], {})


def test_a_library_that_finds_no_room_is_told_with_the_limit(backends, monkeypatch):
    monkeypatch.setenv("FAULT_AT_IMPORT", "no room:engine.so")
    message = (
        "backend 'faulty': must start in its worker, in 954 MiB of addresses, "
        "got ImportError('engine.so: failed to map segment from shared object')"
    )
    with pytest.raises(BackendOutOfMemory, match=f"^{re.escape(message)}$"):
        backends(memory_bytes=10**9).wait_until_ready()


@pytest.mark.parametrize(
    ("memory_bytes", "shown"),
    [(10**6, "0.954 MiB"), (3 * 10**8, "286 MiB"), (2**30, "1.0 GiB"), (2 * 10**9, "1.9 GiB")],
)
def test_limits_of_memory_are_shown_in_a_unit_that_shows_something(memory_bytes, shown):
    worker = Worker.__new__(Worker)
    worker.limits, worker._where = Limits(memory_bytes=memory_bytes), "backend 'faulty'"
    trouble = Trouble(error="", message="MemoryError()", out_of_memory=True)
    message = f"backend 'faulty': must start in its worker, in {shown} of addresses, got "
    assert str(worker.trouble(trouble, "start")) == f"{message}MemoryError()"


def test_a_device_has_a_worker_of_its_own_and_survives_the_death_of_the_others(backends):
    backend = backends()
    first, second = backend.devices()
    crashing = backend.load(faulty.model_of(run="signal:SIGKILL"), first, {})
    other = backend.load(faulty.model_of(), second, {})
    assert crashing.worker_pid != other.worker_pid
    before = other.worker_pid
    with pytest.raises(BackendCrashed, match=r"by SIGKILL$"):
        crashing.run((RAMP,))
    np.testing.assert_array_equal(other.run((RAMP,))[0], RAMP_MEANS)
    assert other.worker_pid == before


def test_a_worker_that_was_killed_between_calls_is_noticed_by_the_next_one(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    runner.run((RAMP,))
    os.kill(runner.worker_pid, signal.SIGKILL)
    with pytest.raises(BackendCrashed, match=r"must run a model .* by SIGKILL$"):
        runner.run((RAMP,))


def test_a_worker_that_was_stopped_is_not_taken_for_a_slow_backend(backends):
    backend = backends(run_s=0.3)
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    os.kill(runner.worker_pid, signal.SIGSTOP)
    message = (
        "backend 'faulty': must run a model in its worker within 0.3 s, "
        "got a worker that was stopped"
    )
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$") as caught:
        runner.run((RAMP,))
    assert not isinstance(caught.value, BackendTimeout)  # which would be kept as a verdict


def test_the_time_that_this_process_was_stopped_does_not_count():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend, Limits\n"
        "backend = IsolatedBackend(f.Faulty, limits=Limits(run_s=0.6))\n"
        "runner = backend.load(f.model_of(slow=0.4), backend.devices()[0], {})\n"
        "print(runner.worker_pid, flush=True)\n"
        "print(runner.run((np.ones((1, 4, 4, 3), np.uint8),))[0].tolist())\n"
    )
    command = [sys.executable, "-c", program, FAKES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        for pid in (worker, parent.pid):  # as when a machine is suspended
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.8)
        for pid in (parent.pid, worker):
            os.kill(pid, signal.SIGCONT)
        assert parent.stdout.readline() == "[[1.0, 1.0, 1.0]]\n"
