"""The kit on backends that tell of absent devices, or give compiled forms of models."""

import numpy as np
import pytest

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Absent, Backend, Device, Model, Runner
from edgeprep.tensors import TensorSpec
from edgeprep.testing import ConformanceError, check_backend

MODEL = Model(format="double", files={"model": b"doubles what it is given"})
CPU = Device(name="cpu", kind="cpu")
NPU = Absent(name="npu", kind="npu", reason="there is no driver")
FORM = b"compiled"


class DoublingRunner(Runner):
    inputs = (TensorSpec(name="x", shape=(2, 3), dtype="float32"),)
    outputs = (TensorSpec(name="y", shape=(2, 3), dtype="float32"),)

    def __init__(self, factor=2, form=FORM, outputs=None):
        self.closed = False
        self.factor = np.float32(factor)
        self.form = form
        self.outputs = outputs or self.outputs

    def run(self, inputs):
        if self.closed:
            raise ClosedError("runner: must be open, got a call after close()")
        return (inputs[0] * self.factor,)

    def compiled(self):
        return self.form

    def close(self):
        self.closed = True


class CompilingBackend(Backend):
    name = "double"
    formats = ("double",)

    def devices(self):
        return (CPU,)

    def absent(self):
        return (NPU,)

    def options(self, device, precision):
        return ({"threads": 1},)

    def versions(self):
        return {"double": "1.0"}

    def load(self, model, device, options):
        if model.files != MODEL.files or device != CPU or {*options} != {"threads"}:
            raise BackendError("backend 'double': must be given what it can run")
        return DoublingRunner()

    def compiled_for(self, device):
        return "double 1.0"

    def load_compiled(self, compiled, model, device, options):
        assert compiled == FORM
        return DoublingRunner()


def test_the_backend_that_they_are_made_from_is_fine():
    check_backend(CompilingBackend(), MODEL)


def refuses_its_form(self, compiled, model, device, options):
    raise BackendError("backend 'double': must be a form of this release, got another")


def gives(**changes):
    return lambda self, compiled, model, device, options: DoublingRunner(**changes)


OTHER = (TensorSpec(name="z", shape=(2, 3), dtype="float32"),)
WAY = "backend 'double' with {'threads': 1}: "
FAULTS = {
    "absent devices in a list": (
        {"absent": lambda self: [NPU]},
        f"backend 'double': absent() must be a tuple of Absent, got {[NPU]!r}",
    ),
    "an absent device that is here": (
        {"absent": lambda self: (Absent(name="cpu", kind="cpu", reason="gone"),)},
        "backend 'double': absent devices must not be among devices(), got ['cpu']",
    ),
    "no reason": (
        {"absent": lambda self: (Absent(name="npu", kind="npu", reason=""),)},
        "backend 'double': absent devices must have a reason in one line, got ['npu']",
    ),
    "a reason in lines": (
        {"absent": lambda self: (Absent(name="npu", kind="npu", reason="a\nb"),)},
        "backend 'double': absent devices must have a reason in one line, got ['npu']",
    ),
    "an unknown kind": (
        {"absent": lambda self: (Absent(name="tpu", kind="tpu", reason="gone"),)},
        (
            "backend 'double': kinds of absent devices must be of 'cpu', 'gpu', 'npu', 'dsp', "
            "got ['tpu']"
        ),
    ),
    "a form that depends on nothing": (
        {"compiled_for": lambda self, device: None},
        f"{WAY}compiled_for() must say what a form depends on, got None",
    ),
    "an empty word": (
        {"compiled_for": lambda self, device: ""},
        f"{WAY}compiled_for() must be None or say what a form depends on, got ''",
    ),
    "a form that is no bytes": (
        {"load": lambda self, *way: DoublingRunner(form="text")},
        f"{WAY}compiled() must be bytes or None, got str",
    ),
    "a form that it refuses": (
        {"load_compiled": refuses_its_form},
        (
            f"{WAY}load_compiled() must load what compiled() gave, got "
            "edgeprep.errors.BackendError: backend 'double': must be a form of this release, "
            "got another"
        ),
    ),
    "other outputs": (
        {"load_compiled": gives(outputs=OTHER)},
        (
            f"{WAY}what load_compiled() gives must have the same inputs and outputs, "
            f"got {(DoublingRunner.inputs, OTHER)!r}"
        ),
    ),
    "other numbers": (
        {"load_compiled": gives(factor=2.1)},
        f"{WAY}what load_compiled() gives must compute the same, got 0.05 from it",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_way_of_being_broken_is_found(fault):
    members, message = FAULTS[fault]
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- compared below
        check_backend(type("Broken", (CompilingBackend,), members)(), MODEL)
    assert str(caught.value) == message
