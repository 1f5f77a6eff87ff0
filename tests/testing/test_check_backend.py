"""The kit on backends: a fine one passes, and every way of being broken is found."""

from time import sleep
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Backend, Device, Model, Runner
from edgeprep.tensors import TensorSpec
from edgeprep.testing import ConformanceError, check_backend

MODEL = Model(format="double", files={"model": b"doubles what it is given", "weights": b"2.0"})
SHAPE = (2, 3)
CPU = Device(name="cpu", kind="cpu")


class FineRunner(Runner):
    """Doubles. The functions below break one rule each."""

    inputs = (TensorSpec(name="x", shape=SHAPE, dtype="float32"),)
    outputs = (TensorSpec(name="y", shape=SHAPE, dtype="float32"),)

    def __init__(self):
        self.closed = False
        self.buffer = np.zeros(SHAPE, np.float32)

    def run(self, inputs):
        if self.closed:
            raise ClosedError("runner: must be open, got a call after close()")
        return (inputs[0] * 2,)

    def close(self):
        self.closed = True


class FineBackend(Backend):
    name = "double"
    formats = ("double",)
    runner: ClassVar[type[Runner]] = FineRunner

    def devices(self):
        return (CPU,)

    def options(self, device, precision):
        return ({"threads": 1}, {"threads": 2})

    def versions(self):
        return {"double": "1.0"}

    def load(self, model, device, options):
        if model.files != MODEL.files or device != CPU or {*options} != {"threads"}:
            raise BackendError("backend 'double': must be given what it can run")
        return self.runner()


def backend(**members):
    return type("Broken", (FineBackend,), members)()


def runner(**members):
    return backend(runner=type("Runner", (FineRunner,), members))


def found(broken, *samples, **options):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- its callers compare it
        check_backend(broken, MODEL, *samples, **options)
    return str(caught.value)


def test_the_backend_that_they_are_made_from_is_fine():
    check_backend(FineBackend(), MODEL)


def test_a_class_that_the_registry_would_refuse_is_refused():
    assert found(backend(formats=("double", 7))) == (
        "backend class 'Broken': 'formats' must be a tuple of strings, got ('double', 7)"
    )


def test_a_model_of_another_format_is_refused():
    assert found(backend(formats=("triple",))) == (
        "backend 'double': the model must be one it can run, got format 'double'"
    )


GPU = Device(name="gpu", kind="gpu")
MACHINES = {
    "no devices": (
        {"devices": lambda self: ()},
        ": devices() must be a tuple of Device that starts with the CPU, got ()",
    ),
    "names for devices": (
        {"devices": lambda self: ("cpu",)},
        ": devices() must be a tuple of Device that starts with the CPU, got ('cpu',)",
    ),
    "a gpu first": (
        {"devices": lambda self: (GPU, CPU)},
        f": devices() must be a tuple of Device that starts with the CPU, got ({GPU!r}, {CPU!r})",
    ),
    "one device twice": (
        {"devices": lambda self: (CPU, CPU)},
        ": devices must differ in name, got ['cpu', 'cpu']",
    ),
    "an unknown kind": (
        {"devices": lambda self: (CPU, Device(name="tpu", kind="tpu"))},
        ": kinds must be of 'cpu', 'gpu', 'npu', 'dsp', got ['cpu', 'tpu']",
    ),
    "devices that raise": (
        {"devices": lambda self: 1 / 0},
        (
            ": devices(), options() and versions() must not raise, "
            "got ZeroDivisionError: division by zero"
        ),
    ),
    "no options": (
        {"options": lambda self, device, precision: ()},
        " on 'cpu': options() must be a tuple of one mapping or more, got ()",
    ),
    "options in a list": (
        {"options": lambda self, device, precision: [{}]},
        " on 'cpu': options() must be a tuple of one mapping or more, got [{}]",
    ),
    "true as an option": (
        {"options": lambda self, device, precision: ({"fast": True},)},
        " on 'cpu': options must be whole numbers and strings, got ({'fast': True},)",
    ),
    "options twice": (
        {"options": lambda self, device, precision: ({"a": 1, "b": 2}, {"b": 2, "a": 1})},
        " on 'cpu': options must differ, got ({'a': 1, 'b': 2}, {'b': 2, 'a': 1})",
    ),
    "no versions": (
        {"versions": lambda self: {}},
        ": versions() must give strings by name, one at least, got {}",
    ),
    "a version that is a number": (
        {"versions": lambda self: {"double": 1.5}},
        ": versions() must give strings by name, one at least, got {'double': 1.5}",
    ),
}


@pytest.mark.parametrize("fault", MACHINES)
def test_a_backend_that_misreports_its_machine_is_found(fault):
    members, message = MACHINES[fault]
    assert found(backend(**members)) == f"backend 'double'{message}"


def writes_to_its_inputs(self, inputs):
    inputs[0][...] = 0
    return (inputs[0] * 2,)


def writes_where_it_may(self, inputs):
    outputs = inputs[0] * 2
    if inputs[0].flags.writeable:
        inputs[0][...] = 0
    return (outputs,)


def keeps_one_buffer(self, inputs):
    np.multiply(inputs[0], 2, out=self.buffer)
    return (self.buffer,)


def remembers(self, inputs):
    self.buffer += 1
    return (inputs[0] * 2 + self.buffer,)


def closes_once(self):
    if self.closed:
        raise RuntimeError("closed twice")
    self.closed = True


def raises_another_error(self, inputs):
    if self.closed:
        raise ValueError("closed")
    return (inputs[0] * 2,)


RUNNERS = {
    "inputs that it writes to": (
        {"run": writes_to_its_inputs},
        (
            "run() must work on inputs that are read-only, "
            "got ValueError: assignment destination is read-only"
        ),
    ),
    "inputs that it writes to where it may": (
        {"run": writes_where_it_may},
        "run() must not change its inputs, got them changed",
    ),
    "another shape": (
        {"run": lambda self, inputs: (inputs[0].T.copy(),)},
        "run() must give a tuple of float32 (2, 3), got a tuple of float32 (3, 2)",
    ),
    "another type": (
        {"run": lambda self, inputs: (inputs[0].astype(np.float64),)},
        "run() must give a tuple of float32 (2, 3), got a tuple of float64 (2, 3)",
    ),
    "a list": (
        {"run": lambda self, inputs: [inputs[0] * 2]},
        "run() must give a tuple of float32 (2, 3), got a list of float32 (2, 3)",
    ),
    "one buffer for all answers": (
        {"run": keeps_one_buffer},
        "outputs must belong to the caller, got some that a later call changed",
    ),
    "a memory": (
        {"run": remembers},
        "the same inputs must give the same outputs, got others after other calls",
    ),
    "an answer for all": (
        {"run": lambda self, inputs: (np.ones(SHAPE, np.float32),)},
        (
            "samples must have outputs that differ, got the same for 0 and 1; "
            "pass inputs that the model tells apart"
        ),
    ),
    "a close that raises": (
        {"close": closes_once},
        "close() must do nothing the second time, got RuntimeError: closed twice",
    ),
    "a run after close": (
        {"close": lambda self: None},
        "run() after close() must raise ClosedError, got a result",
    ),
    "another error after close": (
        {"run": raises_another_error},
        "run() after close() must raise ClosedError, got ValueError: closed",
    ),
}


@pytest.mark.parametrize("fault", RUNNERS)
def test_a_broken_runner_is_found(fault):
    members, message = RUNNERS[fault]
    assert found(runner(**members)) == f"backend 'double' with {{'threads': 1}}: {message}"


def test_answers_that_threads_take_from_each_other_are_found():
    def mixes_threads(self, inputs):
        self.buffer = inputs[0] * 2
        sleep(1e-4)  # lets another thread write its own numbers
        return (self.buffer.copy(),)

    with pytest.raises(
        ConformanceError,
        match=r"^backend 'double' with \{'threads': 1\}: 4 threads must get their own answers, "
        r"got \d+ wrong of 800$",
    ):
        check_backend(runner(run=mixes_threads), MODEL)


def test_a_runner_that_raises_when_threads_share_it_is_found():
    def refuses_a_second_caller(self, inputs):
        if self.closed:
            raise RuntimeError("busy")
        self.closed = True
        sleep(1e-4)
        self.closed = False
        return (inputs[0] * 2,)

    assert found(runner(run=refuses_a_second_caller)) == (
        "backend 'double' with {'threads': 1}: threads must share it, got RuntimeError: busy"
    )


def test_an_option_that_does_not_load_is_found():
    def load(self, model, device, options):
        return 1 / 0 if options["threads"] == 2 else FineRunner()

    assert found(backend(load=load)) == (
        "backend 'double' with {'threads': 2}: must load the model, "
        "got ZeroDivisionError: division by zero"
    )


WHOLE = MODEL.files
FINE = (WHOLE, "cpu", {"threads"})
TO_BE_REFUSED = {
    "an unknown device": (WHOLE, "no-such-device", {"threads"}),
    "an unknown option": (WHOLE, "cpu", {"threads", "no-such-option"}),
    "a model without files": ({}, "cpu", {"threads"}),
    "a model without 'weights'": ({"model": WHOLE["model"]}, "cpu", {"threads"}),
    "a model whose 'weights' is empty": ({**WHOLE, "weights": b""}, "cpu", {"threads"}),
    "a model with half of 'weights'": ({**WHOLE, "weights": b"2"}, "cpu", {"threads"}),
}


@pytest.mark.parametrize("case", TO_BE_REFUSED)
def test_a_backend_that_loads_what_it_must_refuse_is_found(case):
    def load(self, model, device, options):
        if (model.files, device.name, {*options}) not in (FINE, TO_BE_REFUSED[case]):
            raise BackendError("backend 'double': must be given what it can run")
        return FineRunner()

    assert found(backend(load=load)) == (
        f"backend 'double': load() of {case} must raise BackendError, got a result"
    )


def test_a_refusal_by_another_error_is_found():
    class LooksUp(FineBackend):
        def load(self, model, device, options):
            model.files["weights"]
            return super().load(model, device, options)

    assert found(LooksUp()) == (
        "backend 'double': load() of a model without files must raise BackendError, "
        "got KeyError: 'weights'"
    )


ONE = np.ones(SHAPE, np.float32)


def test_right_numbers_pass():
    check_backend(FineBackend(), MODEL, [[ONE], [3 * ONE]], [[2 * ONE], [6 * ONE]], 0.0)


def test_wrong_numbers_are_found():
    assert found(FineBackend(), [[ONE], [3 * ONE]], [[2 * ONE], [6.6 * ONE]], 0.01) == (
        "backend 'double' with {'threads': 1}: sample 1 must be right to 0.01, got 0.091"
    )


def test_outputs_for_each_sample_are_asked_for():
    assert found(FineBackend(), [[ONE], [3 * ONE]], [[2 * ONE]]) == (
        "backend 'double' with {'threads': 1}: each of 2 samples must have its outputs, got 1"
    )


def test_one_sample_is_not_enough():
    assert found(FineBackend(), [[ONE]]) == (
        "backend 'double' with {'threads': 1}: must be checked with two samples or more, got one"
    )


def test_samples_that_do_not_fit_are_refused():
    assert found(FineBackend(), [[ONE.T], [3 * ONE.T]]) == (
        "backend 'double' with {'threads': 1}: inputs must be float32 (2, 3), got float32 (3, 2)"
    )
