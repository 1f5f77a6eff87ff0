"""When a worker ends, and what ends with it: of closing, interrupts, forks and dead parents."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import faulty_backends as faulty
import numpy as np
import pytest
from channel_means import RAMP, RAMP_MEANS

from edgeprep.errors import BackendCrashed, BackendTimeout, ClosedError, ForkedRunnerError

FAKES = str(Path(faulty.__file__).parent)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition, seconds=5.0):
    """Whether `condition` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def test_a_hang_at_the_end_holds_up_neither_closing_nor_the_exit_of_a_program():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import atexit, faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend, Limits\n"
        "backend = IsolatedBackend(f.Faulty, limits=Limits(run_s=0.3))\n"
        "closing = backend.load(f.model_of(close='hang:holding'), backend.devices()[0], {})\n"
        "left = backend.load(f.model_of(), backend.devices()[0], {})\n"
        "print(left.worker_pid)\n"
    )
    fakes = FAKES
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, fakes], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - start < 3
    assert wait_until(lambda: not is_alive(int(done.stdout)))


def test_closing_a_runner_that_hangs_in_it_ends_its_worker_at_the_limit(backends):
    backend = backends(run_s=1.0)
    device = backend.devices()[0]
    innocent = backend.load(faulty.model_of(), device, {})
    hanging = backend.load(faulty.model_of(close="hang:holding"), device, {})
    before = innocent.worker_pid
    with pytest.raises(BackendTimeout, match="must close a model in its worker within 1 s"):
        hanging.close()
    assert not is_alive(before)
    # The other one is loaded again when it is needed, and answers.
    np.testing.assert_array_equal(innocent.run((RAMP,))[0], RAMP_MEANS)
    assert innocent.worker_pid != before


def test_closing_waits_for_no_load(backends, tmp_path):
    backend = backends()
    device = backend.devices()[0]
    gate, reached = tmp_path / "gate", tmp_path / "reached"
    gate.touch()
    runner = backend.load(faulty.model_of(load=f"wait:{gate}"), device, {})
    fatal = backend.load(faulty.model_of(run="signal:SIGKILL"), device, {})
    with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
        fatal.run((RAMP,))
    gate.unlink()
    faults = []

    def load_again():
        reached.touch()
        with pytest.raises(ClosedError, match="must be open") as fault:
            runner.run((RAMP,))
        faults.append(str(fault.value))

    thread = threading.Thread(target=load_again)
    thread.start()
    assert wait_until(reached.exists)
    time.sleep(0.5)  # by now it has begun to load
    start = time.monotonic()
    runner.close()
    assert time.monotonic() - start < 1
    gate.touch()
    thread.join(10)
    assert faults == ["backend 'faulty': a runner must be open to run, got one that was closed"]


def test_closing_while_another_thread_runs_is_an_answer_or_a_clear_error(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    surprises = []
    running = threading.Event()

    def keep_running():
        try:
            while True:
                runner.run((RAMP,))
                running.set()
        except ClosedError:
            pass
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test fails of it
            surprises.append(error)

    threads = [threading.Thread(target=keep_running) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert running.wait(10)
    runner.close()
    runner.close()
    backend.close()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert surprises == []
    with pytest.raises(ClosedError, match=r"^backend 'faulty': a runner must be open to run, got"):
        runner.run((RAMP,))


class InterruptedHereError(BaseException):
    """As Ctrl-C raises it."""


@pytest.fixture
def interrupt():
    """Interrupts this thread after so many seconds."""

    def raise_it(*_):
        raise InterruptedHereError("by a signal")

    before = signal.signal(signal.SIGALRM, raise_it)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupted_load_ends_its_worker_and_the_next_one_has_another(backends, interrupt):
    backend = backends()
    device, worker = backend.devices()[0], int(backend.versions()["process"])
    interrupt(0.3)
    with pytest.raises(InterruptedHereError, match=r"^by a signal$"):
        backend.load(faulty.model_of(load="hang:releasing"), device, {})
    assert not is_alive(worker)
    again = backend.load(faulty.model_of(), device, {})
    np.testing.assert_array_equal(again.run((RAMP,))[0], RAMP_MEANS)


def test_the_answer_to_an_interrupted_call_is_nobody_elses(backends, interrupt, tmp_path):
    backend, gate = backends(), tmp_path / "gate"
    runner = backend.load(faulty.model_of(run=f"wait:{gate}", at=1), backend.devices()[0], {})
    runner.run((RAMP,))
    interrupt(0.2)
    with pytest.raises(InterruptedHereError, match=r"^by a signal$"):
        runner.run((RAMP,))
    gate.touch()
    np.testing.assert_array_equal(runner.run((RAMP + np.uint8(1),))[0], RAMP_MEANS + 1)


@pytest.mark.parametrize("state", ["idle", "hanging"])
def test_a_worker_dies_with_its_parent_even_while_it_hangs(state):
    program = (
        "import sys, threading, time; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend\n"
        "backend = IsolatedBackend(f.Faulty)\n"
        "runner = backend.load(f.model_of(run=sys.argv[2]), backend.devices()[0], {})\n"
        "print(runner.worker_pid, flush=True)\n"
        "if sys.argv[2]:\n"
        "    threading.Timer(0.3, lambda: print('hangs', flush=True)).start()\n"
        "    runner.run((np.zeros((1, 4, 4, 3), np.uint8),))\n"
        "time.sleep(600)\n"
    )
    fault = "hang:holding" if state == "hanging" else ""
    command = [sys.executable, "-c", program, FAKES, fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        if fault:
            parent.stdout.readline()
        assert is_alive(worker)
        parent.kill()
    assert wait_until(lambda: not is_alive(worker))


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_what_an_engine_has_started_ends_with_its_worker(backends, tmp_path, how):
    backend = backends()
    model = faulty.model_of(load=f"start:{tmp_path / 'pid'}")
    runner = backend.load(model, backend.devices()[0], {})
    started = int((tmp_path / "pid").read_text())
    assert is_alive(started)
    # What a program holds of the way to this process would keep that from telling of its end.
    files = [file.readlink().name for file in Path(f"/proc/{started}/fd").iterdir()]
    assert not [name for name in files if name.startswith("socket:")]
    if how == "closed":
        runner.close()
        backend.close()
    else:
        os.kill(runner.worker_pid, signal.SIGKILL)
        with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
            runner.run((RAMP,))
    assert wait_until(lambda: not is_alive(started))


def test_what_an_engine_has_started_ends_with_the_parent(tmp_path):
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "import faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend\n"
        "backend = IsolatedBackend(f.Faulty)\n"
        "runner = backend.load(f.model_of(load=sys.argv[2]), backend.devices()[0], {})\n"
        "print(runner.worker_pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    fakes, fault = FAKES, f"start:{tmp_path / 'pid'}"
    command = [sys.executable, "-c", program, fakes, fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        started = int((tmp_path / "pid").read_text())
        assert is_alive(started)
        parent.kill()
    assert wait_until(lambda: not is_alive(worker))
    assert wait_until(lambda: not is_alive(started))


# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_cannot_use_a_worker_and_does_not_keep_it_alive(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    runner.run((RAMP,))
    child = os.fork()
    if not child:
        status = 1
        try:
            runner.run((RAMP,))
        except ForkedRunnerError as error:
            status = 0 if "its worker must be asked by the process" in str(error) else 2
        finally:
            runner.close()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(runner.run((RAMP,))[0], RAMP_MEANS)
