"""The kit on exporters and backends: those of edgeprep pass, and broken ones are found."""

from dataclasses import dataclass
from time import sleep
from typing import ClassVar

import numpy as np
import pytest
import torch

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Backend, Device, Exporter, Model, Runner
from edgeprep.registry import create, default_registry
from edgeprep.tensors import TensorSpec
from edgeprep.testing import ConformanceError, check_backend, check_exporter, small_source

CONTENT = b"doubles what it is given"
MODEL = Model(format="double", files={"model": CONTENT})
SHAPE = (2, 3)


class FineRunner(Runner):
    """Doubles. The classes below break one rule each."""

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
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device, precision):
        return ({"threads": 1}, {"threads": 2})

    def versions(self):
        return {"double": "1.0"}

    def load(self, model, device, options):
        if model.files != MODEL.files or device.name != "cpu" or {*options} != {"threads"}:
            raise BackendError("backend 'double': must be given what it can run")
        return self.runner()


def with_runner(**methods):
    return type("Broken", (FineBackend,), {"runner": type("Runner", (FineRunner,), methods)})


def changes_inputs(self, inputs):
    inputs[0][...] = 0
    return (inputs[0] * 2,)


def keeps_one_buffer(self, inputs):
    np.multiply(inputs[0], 2, out=self.buffer)
    return (self.buffer,)


def remembers(self, inputs):
    self.buffer += 1
    return (inputs[0] * 2 + self.buffer,)


def mixes_threads(self, inputs):
    self.buffer = inputs[0] * 2
    sleep(1e-4)  # lets another thread write its own numbers
    return (self.buffer.copy(),)


def load_anyway(self, model, device, options):
    return FineRunner()


def close_once(self):
    if self.closed:
        raise RuntimeError("closed twice")
    self.closed = True


BROKEN = {
    "no devices": (
        type("Broken", (FineBackend,), {"devices": lambda self: ()}),
        "backend 'double': devices() must be a tuple that starts with the CPU, got ()",
    ),
    "a gpu first": (
        type("Broken", (FineBackend,), {"devices": lambda self: (Device(name="g", kind="gpu"),)}),
        (
            "backend 'double': devices() must be a tuple that starts with the CPU, "
            "got (Device(name='g', kind='gpu', description=''),)"
        ),
    ),
    "one device twice": (
        type(
            "Broken", (FineBackend,), {"devices": lambda self: (Device(name="c", kind="cpu"),) * 2}
        ),
        "backend 'double': devices must differ in name, got ['c', 'c']",
    ),
    "no options": (
        type("Broken", (FineBackend,), {"options": lambda self, device, precision: ()}),
        "backend 'double': options() on 'cpu' must be some that differ, got ()",
    ),
    "true as an option": (
        type("Broken", (FineBackend,), {"options": lambda self, device, precision: ({"a": True},)}),
        "backend 'double': options must be whole numbers and strings, got ({'a': True},)",
    ),
    "no versions": (
        type("Broken", (FineBackend,), {"versions": lambda self: {}}),
        "backend 'double': versions() must name libraries and their versions, got {}",
    ),
    "does not load": (
        type("Broken", (FineBackend,), {"load": lambda self, *_: 1 / 0}),
        (
            "backend 'double' with {'threads': 1}: must load the model, "
            "got ZeroDivisionError: division by zero"
        ),
    ),
    "changes its inputs": (
        with_runner(run=changes_inputs),
        (
            "backend 'double' with {'threads': 1}: run() must work on inputs that are read-only, "
            "got ValueError: assignment destination is read-only"
        ),
    ),
    "other shape": (
        with_runner(run=lambda self, inputs: (inputs[0].T.copy(),)),
        (
            "backend 'double' with {'threads': 1}: run() must give [((2, 3), 'float32')], "
            "got [((3, 2), 'float32')]"
        ),
    ),
    "other type": (
        with_runner(run=lambda self, inputs: (inputs[0].astype(np.float64),)),
        (
            "backend 'double' with {'threads': 1}: run() must give [((2, 3), 'float32')], "
            "got [((2, 3), 'float64')]"
        ),
    ),
    "one buffer for all answers": (
        with_runner(run=keeps_one_buffer),
        (
            "backend 'double' with {'threads': 1}: outputs must belong to the caller, "
            "got some that a later call changed"
        ),
    ),
    "remembers": (
        with_runner(run=remembers),
        (
            "backend 'double' with {'threads': 1}: the same inputs must give the same outputs, "
            "whatever ran before"
        ),
    ),
    "cannot be closed twice": (
        with_runner(close=close_once),
        (
            "backend 'double' with {'threads': 1}: close() must do nothing the second time, "
            "got RuntimeError: closed twice"
        ),
    ),
    "runs after close": (
        with_runner(close=lambda self: None),
        (
            "backend 'double' with {'threads': 1}: run() after close() must raise ClosedError, "
            "got a result"
        ),
    ),
    "loads anything": (
        type("Broken", (FineBackend,), {"load": load_anyway}),
        "backend 'double': load() of an unknown device must raise BackendError, got a result",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_backend_is_found(fault):
    cls, message = BROKEN[fault]
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_backend(cls(), MODEL)
    assert str(caught.value) == message


def test_answers_that_threads_take_from_each_other_are_found():
    with pytest.raises(
        ConformanceError,
        match=r"^backend 'double' with \{'threads': 1\}: 4 threads must get their own answers, "
        r"got \d+ wrong of 800$",
    ):
        check_backend(with_runner(run=mixes_threads)(), MODEL)


def test_the_backend_that_they_are_made_from_is_fine():
    check_backend(FineBackend(), MODEL)


def test_a_model_of_another_format_is_refused():
    with pytest.raises(
        ConformanceError,
        match=r"^backend 'double': the model must be one it can run, got format 'onnx'$",
    ):
        check_backend(FineBackend(), Model(format="onnx", files={}))


def answers(source):
    with torch.no_grad():
        return {
            picture.tobytes(): [
                output.numpy() for output in source.deployed(torch.from_numpy(picture[None]))
            ]
            for picture in source.calibration
        }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small_source(tmp_path_factory.mktemp("scratch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Exporter):
    name: ClassVar[str] = "double"
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    format: str = "double"
    content: str = "right"

    def export(self, source, precision):
        if self.content == "nothing":
            raise RuntimeError("cannot write")
        files = {"model": self.content if self.content == "text" else self.content.encode()}
        return Model(format=self.format, files=files)


class Play(FineBackend):
    """Answers as torch does, unless the content says otherwise."""

    def __init__(self, source):
        self.source, self.known = source, answers(source)

    def load(self, model, device, options):
        source, known, content = self.source, self.known, model.files["model"]

        class Playing(FineRunner):
            inputs = (source.input,)
            outputs = source.outputs[::-1] if content == b"swapped" else source.outputs

            def run(self, inputs):
                first, second = known[inputs[0].tobytes()]
                return (first + (content == b"moved"), second)

        return Playing()


def test_an_exporter_that_writes_what_torch_computes_is_fine(source):
    check_exporter(Write(), Play(source), source)


@pytest.mark.parametrize(
    ("exporter", "message"),
    [
        (
            Write(content="nothing"),
            r"exporter 'double' in fp32: must write the source, got RuntimeError: cannot write",
        ),
        (
            Write(format="other"),
            r"exporter 'double' in fp32: the model's format must be its name, got 'other'",
        ),
        (
            Write(content="text"),
            r"exporter 'double' in fp32: must give its files as bytes, got \['model'\]",
        ),
        (
            Write(content="swapped"),
            r"exporter 'double' in fp32: must give \[.*\], got \[.*\]",
        ),
        (
            Write(content="moved"),
            r"exporter 'double' in fp32: must agree with torch to 0.0001, got [\d.]+",
        ),
    ],
    ids=lambda value: value.content if isinstance(value, Write) else "",
)
def test_a_broken_exporter_is_found(source, exporter, message):
    with pytest.raises(ConformanceError, match=f"^{message}$"):
        check_exporter(exporter, Play(source), source)


def test_an_exporter_needs_a_backend_of_its_format(source):
    class Other(Play):
        formats = ("other",)

    with pytest.raises(
        ConformanceError,
        match=r"^exporter 'double': 'double' must run its format, got one for other$",
    ):
        check_exporter(Write(), Other(source), source)


@pytest.mark.filterwarnings("ignore")  # what the libraries of all three formats have to say
@pytest.mark.parametrize("name", ["onnx", "openvino", "tflite"])
def test_the_exporters_and_backends_of_edgeprep_conform(name, source):
    registry = default_registry()
    exporter = create(registry.get("exporter", name))
    [backend] = [create(cls) for cls in registry.backends_for(name)]
    check_exporter(exporter, backend, source)
    check_backend(backend, exporter.export(source, "fp32"))
