"""A backend in workers answers as it does here, and refuses what it refuses."""

import math
import os
import re
from concurrent.futures import ThreadPoolExecutor

import faulty_backends as faulty
import numpy as np
import pytest
from channel_means import RAMP, RAMP_MEANS

from edgeprep.errors import BackendError, BackendUnavailable, InputError
from edgeprep.workers import IsolatedBackend, Limits


def test_a_worker_says_what_the_backend_says_and_computes_what_it_computes(backends):
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
    (first,) = runner.run((RAMP,))
    (other,) = runner.run((RAMP + np.uint8(1),))
    np.testing.assert_array_equal(first, RAMP_MEANS)
    np.testing.assert_array_equal(other, RAMP_MEANS + 1)
    assert all(ms > 0 for ms in runner.measure_burst((RAMP,)))


def test_threads_run_at_once_and_each_gets_its_own_answer(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})

    def ask(value):
        (answer,) = runner.run((np.full((1, 4, 4, 3), value, np.uint8),))
        return answer.tolist() == [[value] * 3]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, [index % 250 for index in range(2000)]))


def test_to_time_a_model_takes_several_times_as_long_as_to_run_it(backends):
    backend = backends(run_s=0.5)
    runner = backend.load(faulty.model_of(slow=0.3, turns=True), backend.devices()[0], {})
    assert all(ms > 290 for ms in runner.measure_burst((RAMP,)))
    # Three that take turns: each waits for the other two.
    assert len(runner.measure_busy((RAMP,), 3)) == 3


def test_a_compiled_form_goes_through_a_worker(backends):
    backend = backends()
    device = backend.devices()[0]
    model, options = faulty.model_of(at=7), {"threads": 1}
    compiled = backend.load(model, device, options).compiled()
    assert (backend.compiled_for(device), compiled) == ("cpu 1", b'compiled {"at": 7}')
    again = backend.load_compiled(compiled, model, device, options)
    np.testing.assert_array_equal(again.run((RAMP,))[0], RAMP_MEANS)
    with pytest.raises(BackendError, match=r"^faulty: must be its own compiled form, got b'x'$"):
        backend.load_compiled(b"x", model, device, options)


@pytest.mark.parametrize("name", ["RuntimeError", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("point", ["load", "run"])
def test_what_a_backend_raises_there_is_our_error_here(backends, name, point):
    backend = backends()
    device = backend.devices()[0]
    task = {"load": "load a model", "run": "run a model"}[point]
    message = f"backend 'faulty': must {task} in its worker, got {name}('device lost')"
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        backend.load(faulty.model_of(**{point: f"raise:{name}"}), device, {}).run((RAMP,))
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


def test_a_class_that_no_worker_can_import_is_refused():
    message = (
        "backend 'local': must be a class that a worker can import, got one where its class "
        "'local_class.<locals>.Local' cannot be imported from 'faulty_backends' by name"
    )
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        IsolatedBackend(faulty.local_class())


def test_inputs_of_another_shape_are_refused_and_not_spread(backends):
    backend = backends()
    runner = backend.load(faulty.model_of(), backend.devices()[0], {})
    message = "backend 'faulty': inputs must be ['uint8 (1, 4, 4, 3)'], got ['uint8 (4, 3)']"
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        runner.run((RAMP[0, 0],))


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
