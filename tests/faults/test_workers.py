"""What dies, hangs or misbehaves in a worker is an error here, and nothing else."""

import gc
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeprep.errors import (
    BackendCrashed,
    BackendError,
    BackendOutOfMemory,
    BackendTimeout,
    BackendUnavailable,
    ClosedError,
    ForkedRunnerError,
    InputError,
)
from edgeprep.workers import IsolatedBackend, Limits

PICTURE = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
# By hand: channel 0 holds 0, 3, 6, … 45, whose mean is 22.5; the others one and two more.
MEANS = np.array([[22.5, 23.5, 24.5]], np.float32)


@pytest.fixture
def backends(faulty):
    """Makes isolated backends, and ends them."""
    made = []

    def make(cls=faulty.Faulty, **limits):
        made.append(IsolatedBackend(cls, limits=Limits(**limits)))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


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


def test_a_worker_says_what_the_backend_says_and_computes_what_it_computes(backends, faulty):
    backend = backends()
    device, second = backend.devices()
    assert (device.name, second.kind) == ("cpu", "npu")
    assert backend.name == "faulty"
    assert backend.options(device, "fp32") == ({"threads": 1}, {"threads": 2, "waiting": "spin"})
    assert backend.refuse(device, "int8", "reduced") is None
    assert backend.refuse(second, "int8", "reduced") == "no int8 with reduced weights"
    assert int(backend.versions()["process"]) != os.getpid()
    runner = backend.load(faulty.model_of(), device, {"threads": 1})
    assert runner.inputs == (faulty.IMAGE,)
    assert runner.outputs == (faulty.LOGITS,)
    (first,) = runner.run((PICTURE,))
    (other,) = runner.run((PICTURE + np.uint8(1),))
    np.testing.assert_array_equal(first, MEANS)
    np.testing.assert_array_equal(other, MEANS + 1)
    assert all(ms > 0 for ms in runner.measure_burst((PICTURE,)))


# All five signals at each point are in test_isolated_opening.py.
@pytest.mark.parametrize("point", ["import", "load", "first run", "100th run"])
def test_a_crash_is_an_error_that_names_the_signal(backends, faulty, monkeypatch, point):
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
            runner.run((PICTURE,))

    task = {"import": "start", "load": "load a model"}.get(point, "run a model")
    message = f"backend 'faulty': must {task} in its worker, got the worker's death by SIGABRT"
    with pytest.raises(BackendCrashed, match=f"^{re.escape(message)}$"):
        use()


def test_a_real_fault_of_memory_is_a_crash_and_the_next_load_has_a_new_worker(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(run="null"), backend.devices()[0], {})
    message = "backend 'faulty': must run a model in its worker, got the worker's death by SIGSEGV"
    for _ in range(2):
        with pytest.raises(BackendCrashed, match=f"^{message}$"):
            runner.run((PICTURE,))
    runner.close()
    again = backend.load(faulty.model_of(), backend.devices()[0], {})
    np.testing.assert_array_equal(again.run((PICTURE,))[0], MEANS)


def test_a_worker_that_exits_is_a_crash_with_its_status_and_last_words(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(run="exit:3"), backend.devices()[0], {})
    message = "got the worker's death with exit status 3; its last words: 'out of tape'"
    with pytest.raises(BackendCrashed, match=f"{re.escape(message)}$"):
        runner.run((PICTURE,))


@pytest.mark.parametrize("how", ["releasing", "holding"])
@pytest.mark.parametrize("point", ["import", "load", "run"])
def test_a_hang_ends_at_its_limit(backends, faulty, monkeypatch, how, point):
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
        backend.load(faulty.model_of(**{point: fault}), backend.devices()[0], {}).run((PICTURE,))
    assert time.monotonic() - start < 0.3 + 0.5


@pytest.mark.parametrize("name", ["RuntimeError", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("point", ["load", "run"])
def test_what_a_backend_raises_there_is_our_error_here(backends, faulty, name, point):
    backend = backends()
    device = backend.devices()[0]
    task = {"load": "load a model", "run": "run a model"}[point]
    message = f"backend 'faulty': must {task} in its worker, got {name}('device lost')"
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        backend.load(faulty.model_of(**{point: f"raise:{name}"}), device, {}).run((PICTURE,))
    # The worker lives on.
    assert int(backend.versions()["process"]) > 0


def test_a_library_that_is_missing_there_says_what_to_install(backends, monkeypatch):
    monkeypatch.setenv("FAULT_AT_IMPORT", "raise:ImportError")
    message = (
        "backend 'faulty' cannot import its library, got device lost; "
        "pip install edgeprep-faulty[runtime]"
    )
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$"):
        backends().wait_until_ready()


def test_memory_beyond_the_limit_is_refused_there(backends, faulty):
    backend = backends(memory_bytes=2 * 2**30)
    message = "in 2.0 GiB of addresses, got MemoryError()"
    with pytest.raises(BackendOutOfMemory, match=f"{re.escape(message)}$"):
        backend.load(faulty.model_of(load="eat:3"), backend.devices()[0], {})


def test_what_a_library_does_to_its_process_does_not_reach_this_one(backends, faulty, capfd):
    before = (Path.cwd(), dict(os.environ), np.geterr(), signal.getsignal(signal.SIGTERM))
    backend = backends()
    device = backend.devices()[0]
    storm = backend.load(faulty.model_of(load="print:3", run="print:3"), device, {})
    np.testing.assert_array_equal(storm.run((PICTURE,))[0], MEANS)
    disturbing = backend.load(faulty.model_of(load="disturb"), device, {})
    np.testing.assert_array_equal(disturbing.run((PICTURE,))[0], MEANS)
    backend.close()
    assert before == (Path.cwd(), dict(os.environ), np.geterr(), signal.getsignal(signal.SIGTERM))
    assert capfd.readouterr() == ("", "")


def test_a_hang_at_the_end_holds_up_neither_closing_nor_the_exit_of_a_program(faulty):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import atexit, faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend, Limits\n"
        "backend = IsolatedBackend(f.Faulty, limits=Limits(run_s=0.3))\n"
        "closing = backend.load(f.model_of(close='hang:holding'), backend.devices()[0], {})\n"
        "left = backend.load(f.model_of(), backend.devices()[0], {})\n"
        "print(left.worker_pid)\n"
    )
    fakes = str(Path(faulty.__file__).parent)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, fakes], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - start < 3
    assert wait_until(lambda: not is_alive(int(done.stdout)))


def test_closing_a_runner_that_hangs_in_it_ends_its_worker_at_the_limit(backends, faulty):
    backend = backends(run_s=1.0)
    device = backend.devices()[0]
    innocent = backend.load(faulty.model_of(), device, {})
    hanging = backend.load(faulty.model_of(close="hang:holding"), device, {})
    before = innocent.worker_pid
    with pytest.raises(BackendTimeout, match="must close a model in its worker within 1 s"):
        hanging.close()
    assert not is_alive(before)
    # The other one is loaded again when it is needed, and answers.
    np.testing.assert_array_equal(innocent.run((PICTURE,))[0], MEANS)
    assert innocent.worker_pid != before


@pytest.mark.parametrize("state", ["idle", "hanging"])
def test_a_worker_dies_with_its_parent_even_while_it_hangs(faulty, state):
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
    command = [sys.executable, "-c", program, str(Path(faulty.__file__).parent), fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        if fault:
            parent.stdout.readline()
        assert is_alive(worker)
        parent.kill()
    assert wait_until(lambda: not is_alive(worker))


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_what_an_engine_has_started_ends_with_its_worker(backends, faulty, tmp_path, how):
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
            runner.run((PICTURE,))
    assert wait_until(lambda: not is_alive(started))


def test_what_an_engine_has_started_ends_with_the_parent(faulty, tmp_path):
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "import faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend\n"
        "backend = IsolatedBackend(f.Faulty)\n"
        "runner = backend.load(f.model_of(load=sys.argv[2]), backend.devices()[0], {})\n"
        "print(runner.worker_pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    fakes, fault = str(Path(faulty.__file__).parent), f"start:{tmp_path / 'pid'}"
    command = [sys.executable, "-c", program, fakes, fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        started = int((tmp_path / "pid").read_text())
        assert is_alive(started)
        parent.kill()
    assert wait_until(lambda: not is_alive(worker))
    assert wait_until(lambda: not is_alive(started))


def test_a_worker_takes_no_code_from_the_directory_that_it_is_started_in(
    backends, tmp_path, monkeypatch
):
    (tmp_path / "json.py").write_text("raise SystemExit('json.py of strangers')")
    monkeypatch.chdir(tmp_path)
    assert [device.name for device in backends().devices()] == ["cpu", "second"]


def test_a_worker_takes_no_code_from_where_its_parent_was_told_to_take_none(faulty, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("open(__file__ + '-was-run', 'w').close()")
    program = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "import faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend\n"
        "backend = IsolatedBackend(f.Faulty)\n"
        "print(backend.devices()[0].name)\n"
        "backend.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, json.dumps(sys.path)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "cpu\n", "")
    assert not (tmp_path / "sitecustomize.py-was-run").exists()


def test_to_time_a_model_takes_several_times_as_long_as_to_run_it(backends, faulty):
    backend = backends(run_s=0.5)
    runner = backend.load(faulty.model_of(slow=0.3, turns=True), backend.devices()[0], {})
    assert all(ms > 290 for ms in runner.measure_burst((PICTURE,)))
    # Three that take turns: each waits for the other two.
    assert len(runner.measure_busy((PICTURE,), 3)) == 3


def test_closing_waits_for_no_load(backends, faulty, tmp_path):
    backend = backends()
    device = backend.devices()[0]
    gate, reached = tmp_path / "gate", tmp_path / "reached"
    gate.touch()
    runner = backend.load(faulty.model_of(load=f"wait:{gate}"), device, {})
    fatal = backend.load(faulty.model_of(run="signal:SIGKILL"), device, {})
    with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
        fatal.run((PICTURE,))
    gate.unlink()
    faults = []

    def load_again():
        reached.touch()
        with pytest.raises(ClosedError, match="must be open") as fault:
            runner.run((PICTURE,))
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


@pytest.mark.parametrize("what", ["the first call of a thread", "a load in a new worker"])
def test_a_call_for_which_the_system_has_no_files_is_our_error(backends, faulty, what):
    backend = backends()
    device = backend.devices()[0]
    runner = backend.load(faulty.model_of(), device, {})
    fatal = backend.load(faulty.model_of(run="signal:SIGKILL"), device, {})
    if what == "a load in a new worker":
        with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
            fatal.run((PICTURE,))
    rule = "must have files, memory and a process to run a model"
    message = f"backend 'faulty': {rule}, got 'Too many open files'"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
            runner.run((PICTURE,))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run_s": "x"}, "limits.run_s: must be a number of seconds above 0, got 'x'"),
        ({"load_s": math.nan}, "limits.load_s: must be a number of seconds above 0, got nan"),
        ({"start_s": -1.0}, "limits.start_s: must be a number of seconds above 0, got -1.0"),
        ({"run_s": 0}, "limits.run_s: must be a number of seconds above 0, got 0"),
        (
            {"memory_bytes": "4G"},
            "limits.memory_bytes: must be None or a whole number of bytes above 0, got '4G'",
        ),
        (
            {"memory_bytes": -5},
            "limits.memory_bytes: must be None or a whole number of bytes above 0, got -5",
        ),
    ],
)
def test_limits_that_are_none_are_refused(given, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Limits(**given)


def test_threads_run_at_once_and_each_gets_its_own_answer(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})

    def ask(value):
        (answer,) = runner.run((np.full((1, 4, 4, 3), value, np.uint8),))
        return answer.tolist() == [[value] * 3]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, [index % 250 for index in range(2000)]))


def test_a_device_has_a_worker_of_its_own_and_survives_the_death_of_the_others(backends, faulty):
    backend = backends()
    first, second = backend.devices()
    crashing = backend.load(faulty.model_of(run="signal:SIGKILL"), first, {})
    other = backend.load(faulty.model_of(), second, {})
    assert crashing.worker_pid != other.worker_pid
    before = other.worker_pid
    with pytest.raises(BackendCrashed, match=r"by SIGKILL$"):
        crashing.run((PICTURE,))
    np.testing.assert_array_equal(other.run((PICTURE,))[0], MEANS)
    assert other.worker_pid == before


def test_a_worker_that_was_killed_between_calls_is_noticed_by_the_next_one(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    runner.run((PICTURE,))
    os.kill(runner.worker_pid, signal.SIGKILL)
    with pytest.raises(BackendCrashed, match=r"must run a model .* by SIGKILL$"):
        runner.run((PICTURE,))


def test_a_worker_that_was_stopped_is_not_taken_for_a_slow_backend(backends, faulty):
    backend = backends(run_s=0.3)
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    os.kill(runner.worker_pid, signal.SIGSTOP)
    message = (
        "backend 'faulty': must run a model in its worker within 0.3 s, "
        "got a worker that was stopped"
    )
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$") as caught:
        runner.run((PICTURE,))
    assert not isinstance(caught.value, BackendTimeout)  # which would be kept as a verdict


def test_the_time_that_this_process_was_stopped_does_not_count(faulty):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend, Limits\n"
        "backend = IsolatedBackend(f.Faulty, limits=Limits(run_s=0.6))\n"
        "runner = backend.load(f.model_of(slow=0.4), backend.devices()[0], {})\n"
        "print(runner.worker_pid, flush=True)\n"
        "print(runner.run((np.ones((1, 4, 4, 3), np.uint8),))[0].tolist())\n"
    )
    command = [sys.executable, "-c", program, str(Path(faulty.__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        for pid in (worker, parent.pid):  # as when a machine is suspended
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.8)
        for pid in (parent.pid, worker):
            os.kill(pid, signal.SIGCONT)
        assert parent.stdout.readline() == "[[1.0, 1.0, 1.0]]\n"


def test_closing_while_another_thread_runs_is_an_answer_or_a_clear_error(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    surprises = []
    running = threading.Event()

    def keep_running():
        try:
            while True:
                runner.run((PICTURE,))
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
        runner.run((PICTURE,))


# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_cannot_use_a_worker_and_does_not_keep_it_alive(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    runner.run((PICTURE,))
    child = os.fork()
    if not child:
        status = 1
        try:
            runner.run((PICTURE,))
        except ForkedRunnerError as error:
            status = 0 if "its worker must be asked by the process" in str(error) else 2
        finally:
            runner.close()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(runner.run((PICTURE,))[0], MEANS)


def test_a_compiled_form_goes_through_a_worker(backends, faulty):
    backend = backends()
    device = backend.devices()[0]
    model, options = faulty.model_of(at=7), {"threads": 1}
    compiled = backend.load(model, device, options).compiled()
    assert (backend.compiled_for(device), compiled) == ("cpu 1", b'compiled {"at": 7}')
    again = backend.load_compiled(compiled, model, device, options)
    np.testing.assert_array_equal(again.run((PICTURE,))[0], MEANS)
    with pytest.raises(BackendError, match=r"^faulty: must be its own compiled form, got b'x'$"):
        backend.load_compiled(b"x", model, device, options)


def test_a_class_that_no_worker_can_import_is_refused(faulty):
    message = (
        "backend 'local': must be a class that a worker can import, got one where its class "
        "'local_class.<locals>.Local' cannot be imported from 'faulty_backends' by name"
    )
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        IsolatedBackend(faulty.local_class())


def test_inputs_of_another_shape_are_refused_and_not_spread(backends, faulty):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    message = "backend 'faulty': inputs must be ['uint8 (1, 4, 4, 3)'], got ['uint8 (4, 3)']"
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        runner.run((PICTURE[0, 0],))


def test_nothing_is_left_open_when_workers_have_ended(backends, faulty):
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    def use():
        backend = backends()
        runner = backend.load(faulty.model_of(), backend.devices()[0], {})
        runner.run((PICTURE,))
        runner.close()
        backend.close()

    use()
    gc.collect()
    before = files()
    for _ in range(3):
        use()
    gc.collect()
    # Of each that is dead, two files are held until nobody has the backend any more.
    assert files() <= before + 2 * 3


def open_files():
    """How many this process has."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_call_that_finds_its_worker_dead_leaves_no_file_open(backends, faulty):
    def use():
        backend = IsolatedBackend(faulty.Faulty)
        runner = backend.load(faulty.model_of(), backend.devices()[0], {})
        os.kill(runner.worker_pid, signal.SIGKILL)
        with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
            runner.run((PICTURE,))
        runner.close()
        backend.close()

    use()
    before = open_files()
    for _ in range(3):
        use()
    assert open_files() == before


def test_a_process_that_cannot_be_started_leaves_no_file_open(faulty, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = open_files()
    for _ in range(3):
        with pytest.raises(OSError, match="/nowhere/python"):
            IsolatedBackend(faulty.Faulty)
    assert open_files() == before
