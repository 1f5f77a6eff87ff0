"""The backend: right answers however it is run, and errors that say what is wrong."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, Model, Options, Precision, Runner
from edgeprep_onnx import OnnxRuntimeBackend, _engine, _machine

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

Load = Callable[[Model], Runner]

OPTIONS: tuple[Options, ...] = (
    {"threads": 1},
    {"threads": 2, "waiting": "sleep"},
    {"threads": 2, "waiting": "spin"},
    {"threads": 3},
)

NO_PROTOBUF = "7 : INVALID_PROTOBUF : Failed to load model because protobuf parsing failed."


def model_of(content: bytes) -> Model:
    return Model(format="onnx", files={"model.onnx": content})


def linear(
    weight: TensorProto | None = None, shape: tuple[int | str, ...] = (1, 2), kind: int = 1
) -> bytes:
    """`y = x + weight`, with weights `[1, 2]` where none are given."""
    values = numpy_helper.from_array(np.array([1, 2], np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "by hand",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [values if weight is None else weight],
    )
    opsets = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def fault(backend: OnnxRuntimeBackend, model: Model, **changes: Any) -> str:
    """What loading says, on the CPU with one thread unless `changes` say otherwise."""
    arguments = {"device": backend.devices()[0], "options": {"threads": 1}, **changes}
    with pytest.raises(BackendError, match="backend 'onnxruntime': ") as caught:
        backend.load(model, **arguments)
    return str(caught.value)


def test_the_cpu_comes_first_and_no_server_is_a_device(backend: OnnxRuntimeBackend) -> None:
    first, *others = backend.devices()
    assert first == Device(name="cpu", kind="cpu", description="CPUExecutionProvider")
    assert "azure" not in {device.name for device in others}


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, ["1"]),
        (2, ["1", "2 sleep", "2 spin"]),
        (4, ["1", "2 sleep", "2 spin", "4 sleep", "4 spin"]),
        (6, ["1", "3 sleep", "3 spin", "6 sleep", "6 spin"]),
    ],
)
def test_options_are_one_thread_then_half_and_all_cores(
    backend: OnnxRuntimeBackend,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    expected: list[str],
) -> None:
    monkeypatch.setattr(_engine, "cores", lambda: cores)
    found = [" ".join(map(str, each.values())) for each in backend.options(cpu, "fp32")]
    assert found == expected


def test_an_accelerator_is_fed_by_one_thread(backend: OnnxRuntimeBackend) -> None:
    assert backend.options(Device(name="cuda", kind="gpu"), "fp32") == ({"threads": 1},)


def test_hardware_threads_of_one_core_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(_machine, "_siblings", lambda cpu: f"{cpu % 2},{cpu % 2 + 2}")
    assert _machine.cores() == 2


def test_versions_name_the_library_and_its_providers(backend: OnnxRuntimeBackend) -> None:
    versions = backend.versions()
    assert versions["onnxruntime"] == onnxruntime.__version__
    assert "CPUExecutionProvider" in versions["providers"]
    assert set(versions) == {"onnxruntime", "build", "providers"}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_numbers_do_not_depend_on_the_options(
    backend: OnnxRuntimeBackend,
    cpu: Device,
    models: dict[Precision, Model],
    hard_samples: NDArray[np.uint8],
    precision: Precision,
) -> None:
    runners = [backend.load(models[precision], cpu, options) for options in OPTIONS]
    for sample in hard_samples:
        first, *others = [runner.run([sample[np.newaxis]]) for runner in runners]
        for other in others:
            for one, another in zip(first, other, strict=True):
                np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_four_threads_share_a_runner(
    backend: OnnxRuntimeBackend,
    cpu: Device,
    models: dict[Precision, Model],
    hard_samples: NDArray[np.uint8],
    precision: Precision,
    options: Options,
) -> None:
    runner = backend.load(models[precision], cpu, options)
    samples = [sample[np.newaxis] for sample in hard_samples]
    truths = [runner.run([sample]) for sample in samples]
    start = Barrier(4)

    def hammer(offset: int) -> int:
        start.wait()
        wrong = 0
        for call in range(100):
            index = (call + offset) % len(samples)
            found = runner.run([samples[index]])
            equal = [np.array_equal(a, b) for a, b in zip(found, truths[index], strict=True)]
            wrong += not all(equal)
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hammer, range(4))) == [0, 0, 0, 0]


def test_outputs_belong_to_the_caller(
    models: dict[Precision, Model], load: Load, hard_samples: NDArray[np.uint8]
) -> None:
    runner = load(models["fp32"])
    first = runner.run([hard_samples[:1]])
    copies = [output.copy() for output in first]
    runner.run([hard_samples[4:5]])
    runner.close()
    for output, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(output, copy)
        output[...] = 0


def test_the_input_is_left_alone_and_may_be_read_only(
    models: dict[Precision, Model], load: Load, hard_samples: NDArray[np.uint8]
) -> None:
    sample = hard_samples[:1].copy()
    sample.flags.writeable = False
    load(models["int8"]).run([sample])
    np.testing.assert_array_equal(sample, hard_samples[:1])


def test_a_closed_runner_says_so(load: Load) -> None:
    runner = load(model_of(linear()))
    runner.close()
    runner.close()
    with pytest.raises(ClosedError, match="closed") as caught:
        runner.run([np.zeros((1, 2), np.float32)])
    assert str(caught.value) == (
        "backend 'onnxruntime': a runner must be open to run, got one that was closed"
    )


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        pytest.param(
            [np.zeros((1, 3), np.float32)],
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for "
            "the following indices index: 1 Got: 3 Expected: 2 Please fix either the "
            "inputs/outputs or the model.",
            id="shape",
        ),
        pytest.param(
            [np.zeros((1, 2), np.uint8)],
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Unexpected input data type. Actual: "
            "(tensor(uint8)) , expected: (tensor(float))",
            id="type",
        ),
        pytest.param([], "zip() argument 2 is shorter than argument 1", id="too few"),
    ],
)
def test_inputs_that_do_not_fit_are_an_error(
    load: Load, inputs: list[NDArray[Any]], reason: str
) -> None:
    with pytest.raises(BackendError, match="the run on device 'cpu'") as caught:
        load(model_of(linear())).run(inputs)
    assert str(caught.value) == (
        f"backend 'onnxruntime': the run on device 'cpu' must succeed, got {reason!r}"
    )
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "2 : INVALID_ARGUMENT : No graph was found in the protobuf."),
        (b"hello world", NO_PROTOBUF),
        pytest.param(b"ORTM" * 10, NO_PROTOBUF, id="the mark of another format"),
    ],
)
def test_bytes_that_are_no_model_are_an_error(
    backend: OnnxRuntimeBackend,
    capfd: pytest.CaptureFixture[str],
    content: bytes,
    reason: str,
) -> None:
    assert fault(backend, model_of(content)) == (
        "backend 'onnxruntime': the model must load on device 'cpu', "
        f"got '[ONNXRuntimeError] : {reason}'"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_truncated_model_is_an_error_wherever_it_is_cut(
    backend: OnnxRuntimeBackend, models: dict[Precision, Model], precision: Precision
) -> None:
    content = models[precision].files["model.onnx"]
    for length in np.linspace(1, len(content) - 1, 50, dtype=int):
        assert "the model must load" in fault(backend, model_of(content[:length]))


def test_files_other_than_the_model_are_an_error(backend: OnnxRuntimeBackend) -> None:
    files = {"model.onnx": linear(), "weights.bin": b""}
    assert fault(backend, Model(format="onnx", files=files)) == (
        "backend 'onnxruntime': files must be ['model.onnx'], got ['model.onnx', 'weights.bin']"
    )


def test_weights_are_never_read_from_the_working_directory(
    backend: OnnxRuntimeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT)
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": "0", "length": "8"}.items():
        weight.external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(linear(weight), plain, providers=["CPUExecutionProvider"])
    assert "External data path validation failed for initializer: w" in fault(
        backend, model_of(linear(weight))
    )


def test_a_model_of_free_shape_is_an_error(backend: OnnxRuntimeBackend) -> None:
    assert fault(backend, model_of(linear(shape=("batch", 2)))) == (
        "backend 'onnxruntime': input 'x' must have a fixed shape and a type among "
        "['tensor(uint8)', 'tensor(int8)', 'tensor(int32)', 'tensor(int64)', 'tensor(float16)', "
        "'tensor(float)'], got 'tensor(float)' of shape ('batch', 2)"
    )


def test_a_device_that_is_not_here_is_an_error(backend: OnnxRuntimeBackend) -> None:
    names = [device.name for device in backend.devices()]
    abacus = Device(name="abacus", kind="gpu")
    assert fault(backend, model_of(linear()), device=abacus) == (
        f"backend 'onnxruntime': device must be one of {names!r}, got 'abacus'"
    )


def test_a_provider_that_runs_nothing_is_an_error_and_not_the_cpu(
    backend: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Azure's provider is in the CPU build and takes no operator of such a model.
    monkeypatch.setattr(_machine, "DEVICES", {"AzureExecutionProvider": ("idle", "gpu")})
    [idle] = backend.devices()
    assert fault(backend, model_of(linear()), device=idle) == (
        "backend 'onnxruntime': device 'idle' must run at least one operator of the model, got 0"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads must be a whole number from 1, got 0"),
        ({"threads": "two"}, "threads must be a whole number from 1, got 'two'"),
        ({"calls": True}, "calls must be a whole number from 1, got True"),
        ({"waiting": "hop"}, "waiting must be one of ['sleep', 'spin'], got 'hop'"),
        (
            {"cores": 2},
            "options must be among ['threads', 'waiting', 'batch', 'calls'], got 'cores'",
        ),
    ],
)
def test_options_that_cannot_be_are_an_error(
    backend: OnnxRuntimeBackend, options: Options, message: str
) -> None:
    assert fault(backend, model_of(linear()), options=options) == (
        f"backend 'onnxruntime': {message}"
    )
