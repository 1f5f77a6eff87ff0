"""The backend: loading from bytes, explicit arithmetic, and runners that threads share."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as operations
import pytest

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, Model, Runner
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter
from edgeprep_openvino._engine import Engine

CPU = Device(name="CPU", kind="cpu")
CLOSED = r"^backend 'openvino': a runner must be open to run, got one that was closed$"
EXACT = {"threads": 1, "precision": "f32"}


@pytest.fixture
def model(make_source: Callable[..., NetworkSource]) -> Model:
    return OpenVINOExporter().export(make_source(), "fp32")


def doubling(shape: tuple[int, ...], folder: Path) -> Model:
    """uint8 pictures to float32, times two."""
    image = operations.parameter(shape, openvino.Type.u8, name="image")
    image.output(0).get_tensor().set_names({"image"})
    double = operations.multiply(operations.convert(image, "f32"), np.float32(2))
    double.output(0).get_tensor().set_names({"double"})
    openvino.save_model(openvino.Model([double], [image]), folder / "model.xml")
    names = ("model.xml", "model.bin")
    return Model(format="openvino", files={name: (folder / name).read_bytes() for name in names})


def test_the_cpu_is_the_first_device(backend: OpenVINOBackend) -> None:
    first = backend.devices()[0]
    assert (first.name, first.kind) == ("CPU", "cpu")
    assert first.description == openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")


def test_threads_that_share_a_runner_get_their_own_answers(
    model: Model, load: Callable[[Model], Runner]
) -> None:
    runner = load(model)
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (4, *runner.inputs[0].shape), np.uint8)
    expected = [runner.run([picture]) for picture in pictures]
    wrong = []

    def hammer(index: int) -> None:
        for _ in range(400):
            answers = runner.run([pictures[index]])
            same = map(np.array_equal, answers, expected[index])
            if not all(same):
                wrong.append(index)

    threads = [threading.Thread(target=hammer, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not np.array_equal(expected[0][0], expected[1][0])


# The second is above what is copied into the request: there the memory itself is handed over.
@pytest.mark.parametrize("side", [5, 512])
@pytest.mark.parametrize("writeable", [True, False])
def test_answers_belong_to_the_caller_and_inputs_stay_as_they_are(
    side: int, writeable: bool, tmp_path: Path, load: Callable[[Model], Runner]
) -> None:
    runner = load(doubling((1, side, side, 3), tmp_path))
    first = np.full((1, side, side, 3), 3, np.uint8)
    second = np.full_like(first, 4)
    first.flags.writeable = second.flags.writeable = writeable
    (answer,) = runner.run([first])
    (later,) = runner.run([second])
    assert np.unique(answer).tolist() == [6.0]
    assert np.unique(later).tolist() == [8.0]
    assert np.unique(first).tolist() == [3]
    answer[:] = 0
    assert np.unique(runner.run([first])[0]).tolist() == [6.0]


@pytest.mark.parametrize("side", [5, 512])
def test_an_input_of_another_kind_is_refused(
    side: int, tmp_path: Path, load: Callable[[Model], Runner]
) -> None:
    runner = load(doubling((1, side, side, 3), tmp_path))
    right = np.ones((1, side, side, 3), np.uint8)
    for wrong in (right.astype(np.float32), right[:, :1], right[0]):
        with pytest.raises(BackendError) as caught:  # noqa: PT011 -- the whole message is compared
            runner.run([wrong])
        assert str(caught.value) == (
            f"backend 'openvino': inputs[0] must be uint8 {right.shape}, "
            f"got {wrong.dtype} {wrong.shape}"
        )
    assert np.unique(runner.run([right])[0]).tolist() == [2.0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs must be 1, got 0"),
        ([np.ones((1, 5, 5, 3), np.uint8)] * 2, "inputs must be 1, got 2"),
        ([None], "inputs[0] must be uint8 (1, 5, 5, 3), got None None"),
    ],
    ids=["none", "two", "None"],
)
def test_a_missing_input_is_never_answered_with_the_frame_before(
    inputs: list[Any], message: str, tmp_path: Path, load: Callable[[Model], Runner]
) -> None:
    runner = load(doubling((1, 5, 5, 3), tmp_path))
    runner.run([np.ones((1, 5, 5, 3), np.uint8)])
    with pytest.raises(BackendError) as caught:  # noqa: PT011 -- the whole message is compared
        runner.run(inputs)
    assert str(caught.value) == f"backend 'openvino': {message}"


def test_a_closed_runner_says_so(model: Model, load: Callable[[Model], Runner]) -> None:
    runner = load(model)
    runner.close()
    runner.close()
    with pytest.raises(ClosedError, match=CLOSED):
        runner.run([np.zeros((1, 21, 17, 3), np.uint8)])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.xml", b"junk", "Model can't be parsed"),
        (
            "model.xml",
            b"",
            (
                "Unable to read the model. "
                "Please check if the model format is supported and model is correct."
            ),
        ),
        ("model.bin", b"", "Incorrect weights in bin file!"),
        ("model.bin", b"0123", "Incorrect weights in bin file!"),
    ],
)
def test_bytes_that_are_no_model_are_refused(
    name: str, content: bytes, reason: str, model: Model, load: Callable[[Model], Runner]
) -> None:
    broken = Model(format="openvino", files={**model.files, name: content})
    with pytest.raises(BackendError) as caught:  # noqa: PT011 -- the whole message is compared
        load(broken)
    assert str(caught.value) == (f"backend 'openvino': must load the model, got {reason!r}")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_model_without_its_weights_is_refused(
    model: Model, load: Callable[[Model], Runner]
) -> None:
    files = {"model.xml": model.files["model.xml"]}
    with pytest.raises(BackendError) as caught:  # noqa: PT011 -- the whole message is compared
        load(Model(format="openvino", files=files))
    assert str(caught.value) == (
        "backend 'openvino': files must hold 'model.xml' and 'model.bin', got ['model.xml']"
    )


def test_an_output_of_a_type_that_we_have_not_is_refused(
    tmp_path: Path, load: Callable[[Model], Runner]
) -> None:
    image = operations.parameter([1, 4], openvino.Type.u8, name="image")
    bright = operations.greater(image, operations.constant(np.uint8(3)), name="bright")
    openvino.save_model(openvino.Model([bright], [image], "bright"), tmp_path / "model.xml")
    files = {name: (tmp_path / name).read_bytes() for name in ("model.xml", "model.bin")}
    with pytest.raises(
        BackendError,
        match=(
            r"^backend 'openvino': 'Result_\d+' must have a type among "
            r"\['u8', 'i8', 'i32', 'i64', 'f16', 'f32'\], got 'boolean'$"
        ),
    ):
        load(Model(format="openvino", files=files))


def test_a_request_that_cannot_be_made_is_our_error(
    model: Model, load: Callable[[Model], Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("out of memory")

    runner = load(model)
    runner._idle.clear()  # as it is while other threads run
    monkeypatch.setattr("edgeprep_openvino._runner._Request", refuse)
    image = np.zeros(runner.inputs[0].shape, np.uint8)
    ran_out = r"^backend 'openvino': must run the model, got 'out of memory'$"
    with pytest.raises(BackendError, match=ran_out):
        runner.run([image])


@pytest.mark.parametrize("name", ["GPU.7", "AUTO", "AUTO:GPU,CPU", "MULTI:CPU", ""])
def test_only_devices_that_are_there_are_used(
    name: str, model: Model, backend: OpenVINOBackend
) -> None:
    there = tuple(openvino.Core().available_devices)
    with pytest.raises(BackendError) as caught:  # noqa: PT011 -- the whole message is compared
        backend.load(model, Device(name=name, kind="gpu"), {"precision": "f32"})
    assert str(caught.value) == f"backend 'openvino': device must be one of {there!r}, got {name!r}"


def test_an_option_that_nobody_knows_is_refused(model: Model, backend: OpenVINOBackend) -> None:
    with pytest.raises(
        BackendError,
        match=(
            r"^backend 'openvino': options must be 'precision', 'batch', 'calls' or, on a cpu, "
            r"'threads', "
            r"got 'streams'$"
        ),
    ):
        backend.load(model, CPU, {"streams": 2})


def test_a_precision_that_the_device_lacks_is_refused(
    model: Model, backend: OpenVINOBackend
) -> None:
    with pytest.raises(
        BackendError,
        match=(
            r"^backend 'openvino': must load the model on device 'CPU' with {'precision': 'f8'}, "
            r"got 'Wrong value f8 for property key INFERENCE_PRECISION_HINT\. "
            r"Supported values: .*'$"
        ),
    ):
        backend.load(model, CPU, {"precision": "f8"})


def test_every_option_names_its_arithmetic_and_the_first_is_exact(
    backend: OpenVINOBackend,
) -> None:
    options = backend.options(CPU, "fp32")
    assert options[0] == EXACT
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    hints = {"FP32": "f32", "FP16": "f16", "BF16": "bf16"}
    assert {option["precision"] for option in options} == {
        hint for name, hint in hints.items() if name in capabilities
    }


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [(["FP32"], ["f32"]), (["BF16", "FP32"], ["f32", "bf16"]), (["FP16", "INT8"], ["f16"])],
)
def test_bfloat16_is_offered_where_the_device_has_it(
    capabilities: list[str], expected: list[str], backend: OpenVINOBackend
) -> None:
    engine = Engine()
    engine._core = SimpleNamespace(get_property=lambda _device, _name: capabilities)
    options = engine.options(Device(name="NPU", kind="npu"))
    assert [option["precision"] for option in options] == expected


def test_a_device_that_does_not_answer_is_listed_with_the_reason() -> None:
    def get_property(device: str, name: str) -> object:
        if device == "GPU":
            raise RuntimeError("Exception from plugin.cpp:1:\nno driver")
        return {"FULL_DEVICE_NAME": "processor", "OPTIMIZATION_CAPABILITIES": ["FP32"]}[name]

    engine = Engine()
    engine._core = SimpleNamespace(
        available_devices=["GPU", "CPU", "TEMPLATE"], get_property=get_property
    )
    broken = Device(name="GPU", kind="gpu", description="does not answer: no driver")
    assert engine.devices() == (Device(name="CPU", kind="cpu", description="processor"), broken)
    assert engine.options(broken) == ({"precision": "f32"},)
    assert engine.versions() == {
        "openvino": openvino.__version__,
        "cpu": "processor: FP32",
        "gpu": "does not answer: no driver:",
    }


def test_every_option_loads_and_runs(model: Model, backend: OpenVINOBackend) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 21, 17, 3), np.uint8)
    exact, _ = backend.load(model, CPU, EXACT).run([picture])
    for options in backend.options(CPU, "fp32"):
        answer, _ = backend.load(model, CPU, options).run([picture])
        # bfloat16 has 8 bits: 2^-8 = 0.4 % an operation, over four layers.
        tolerance = 1e-5 if options["precision"] == "f32" else 0.03
        assert np.abs(answer - exact).max() <= tolerance * np.abs(exact).max(), options


def test_the_arithmetic_is_the_one_that_was_asked_for(
    model: Model, backend: OpenVINOBackend
) -> None:
    runner = backend.load(model, CPU, {"threads": 1, "precision": "f32"})
    compiled = runner._compiled  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1


def test_versions_name_the_library_and_what_the_cpu_can_do(backend: OpenVINOBackend) -> None:
    versions = backend.versions()
    assert versions["openvino"] == openvino.__version__
    assert "FP32" in versions["cpu"]
