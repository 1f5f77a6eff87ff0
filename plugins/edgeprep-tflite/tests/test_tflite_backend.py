"""The backend: any number of threads, and every fault as an error that says what is wrong."""

import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Device, Model, Options, Precision, Runner
from edgeprep_tflite import LiteRTBackend, _engine

CPU = Device(name="cpu", kind="cpu")

NO_MODEL = (
    r"^backend 'litert': must load the model, "
    r"got 'ValueError: The model is not a valid Flatbuffer buffer'$"
)
CLOSED = r"^backend 'litert': a runner must be open to run, got one that was closed$"
Load = Callable[[Model], Runner]


def pictures(count: int) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(2)
    return [generator.integers(0, 256, (1, 21, 17, 3), np.uint8) for _ in range(count)]


def with_content(content: bytes) -> Model:
    return Model(format="tflite", files={"model.tflite": content})


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_four_threads_get_the_answers_to_their_own_pictures(
    precision: Precision,
    models: Mapping[Precision, Model],
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More than one interpreter, whatever machine this runs on.
    monkeypatch.setattr(_engine, "available_cpus", lambda: 3)
    images = pictures(8)
    alone = load(models[precision])
    truths = [alone.run([image]) for image in images]
    shared = load(models[precision])

    def count_wrong(start: int) -> int:
        order = [(start + step) % len(images) for step in range(200)]
        answers = [(index, shared.run([images[index]])) for index in order]
        return sum(not all(map(np.array_equal, answer, truths[index])) for index, answer in answers)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(count_wrong, range(4))) == 0


def test_answers_stay_what_they_were(models: Mapping[Precision, Model], load: Load) -> None:
    runner = load(models["fp32"])
    first, second = pictures(2)
    answers = runner.run([first])
    copies = [answer.copy() for answer in answers]
    runner.run([second])
    assert [bool(np.array_equal(*pair)) for pair in zip(answers, copies, strict=True)] == [True] * 2


def test_threads_do_not_change_the_numbers(
    models: Mapping[Precision, Model], backend: LiteRTBackend
) -> None:
    (image,) = pictures(1)
    one, two = (backend.load(models["fp32"], CPU, {"threads": count}) for count in (1, 2))
    for pair in zip(one.run([image]), two.run([image]), strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize(
    ("processors", "counts"),
    [
        pytest.param(1, [1], id="one processor"),
        pytest.param(2, [1, 2], id="two"),
        pytest.param(3, [1, 3], id="three"),
        pytest.param(8, [1, 4, 8], id="eight"),
    ],
)
def test_one_thread_half_and_all_are_worth_measuring(
    processors: int, counts: list[int], backend: LiteRTBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_engine, "available_cpus", lambda: processors)
    assert backend.options(CPU, "fp32") == tuple({"threads": count} for count in counts)


def test_the_cpu_is_the_only_device(backend: LiteRTBackend) -> None:
    assert backend.devices() == (CPU,)


def test_the_version_is_that_of_the_library(backend: LiteRTBackend) -> None:
    assert list(backend.versions()) == ["ai-edge-litert"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", backend.versions()["ai-edge-litert"])


@pytest.mark.parametrize(
    ("model", "device", "options", "message"),
    [
        pytest.param(
            with_content(b"no model at all" * 9),
            CPU,
            {},
            "must load the model, got 'ValueError: The model is not a valid Flatbuffer buffer'",
            id="no model",
        ),
        pytest.param(
            with_content(b""),
            CPU,
            {},
            "must load the model, "
            "got 'ValueError: `model_path` or `model_content` must be specified.'",
            id="empty",
        ),
        pytest.param(
            Model(format="tflite", files={"a.tflite": b"", "b.tflite": b""}),
            CPU,
            {},
            "a model must be the one file 'model.tflite', got ['a.tflite', 'b.tflite']",
            id="two files",
        ),
        pytest.param(
            with_content(b""),
            Device(name="moon", kind="gpu"),
            {},
            "device must be one of ['cpu', 'gpu'], got 'moon'",
            id="device",
        ),
        pytest.param(
            with_content(b""),
            CPU,
            {"threads": 1, "precision": "bf16"},
            "options must be among ('threads', 'batch', 'calls', 'rounding'), got 'precision'",
            id="unknown option",
        ),
        pytest.param(
            with_content(b""),
            CPU,
            {"threads": 0},
            "option 'threads' must be a whole number from 1, got 0",
            id="no threads",
        ),
        pytest.param(
            with_content(b""),
            CPU,
            {"threads": "two"},
            "option 'threads' must be a whole number from 1, got 'two'",
            id="threads in words",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    model: Model,
    device: Device,
    options: Options,
    message: str,
    backend: LiteRTBackend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As of a machine with a GPU, whatever this one has.
    monkeypatch.setattr(_engine, "devices", lambda: (CPU, Device(name="gpu", kind="gpu")))
    with pytest.raises(BackendError, match=rf"^backend 'litert': {re.escape(message)}$"):
        backend.load(model, device, options)


@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model_is_refused(
    part: float, models: Mapping[Precision, Model], load: Load
) -> None:
    content = models["int8"].files["model.tflite"]
    with pytest.raises(BackendError, match=NO_MODEL):
        load(with_content(content[: int(len(content) * part)]))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param(
            [np.zeros((1, 3, 21, 17), np.uint8)],
            "must run the model, got 'ValueError: Cannot set tensor: Dimension mismatch. "
            "Got 3 but expected 21 for dimension 1 of input 0.'",
            id="shape",
        ),
        pytest.param(
            [np.zeros((1, 21, 17, 3), np.float32)],
            "must run the model, got 'ValueError: Cannot set tensor: Got value of type FLOAT32 "
            "but expected type UINT8 for input 0, name: serving_default_image'",
            id="dtype",
        ),
        pytest.param([], "inputs must be 1, got 0", id="none"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_and_leave_the_runner_usable(
    inputs: list[NDArray[Any]], message: str, models: Mapping[Precision, Model], load: Load
) -> None:
    runner = load(models["fp32"])
    (image,) = pictures(1)
    truth = runner.run([image])
    with pytest.raises(BackendError, match=rf"^backend 'litert': {re.escape(message)}$"):
        runner.run(inputs)
    np.testing.assert_array_equal(runner.run([image])[0], truth[0])


def test_a_closed_runner_says_so(models: Mapping[Precision, Model], load: Load) -> None:
    runner = load(models["fp32"])
    runner.close()
    runner.close()
    with pytest.raises(ClosedError, match=CLOSED):
        runner.run(pictures(1))


class Gate:
    """An interpreter whose calls wait at `door`, and a record of all that were built."""

    def __init__(self) -> None:
        self.built = 0
        self.inside = threading.Semaphore(0)
        self.door = threading.Event()

    def wrap(self, interpreter: Callable[..., Any]) -> Callable[..., Any]:
        def build(**options: Any) -> Any:
            self.built += 1
            made = interpreter(**options)
            invoke = made.invoke

            def wait() -> None:
                self.inside.release()
                self.door.wait(10)
                invoke()

            made.invoke = wait
            return made

        return build


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(_engine, "_Interpreter", gate.wrap(_engine._Interpreter))
    return gate


def test_calls_one_after_the_other_share_one_interpreter(
    gate: Gate, models: Mapping[Precision, Model], load: Load
) -> None:
    gate.door.set()
    runner = load(models["fp32"])
    for image in pictures(3):
        runner.run([image])
    assert gate.built == 1


def test_calls_at_once_have_an_interpreter_each_up_to_what_processors_serve(
    gate: Gate,
    models: Mapping[Precision, Model],
    backend: LiteRTBackend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_engine, "available_cpus", lambda: 4)
    runner = backend.load(models["fp32"], CPU, {"threads": 2})
    with ThreadPoolExecutor(5) as threads:
        calls = [threads.submit(runner.run, [image]) for image in pictures(5)]
        assert [gate.inside.acquire(timeout=10) for _ in range(2)] == [True, True]
        assert not gate.inside.acquire(timeout=0.1)
        gate.door.set()
        assert len([call.result() for call in calls]) == 5
    assert gate.built == 2


def test_a_call_under_way_ends_well_when_the_runner_is_closed(
    gate: Gate, models: Mapping[Precision, Model], load: Load
) -> None:
    runner = load(models["fp32"])
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(runner.run, pictures(1))
        assert gate.inside.acquire(timeout=10)
        runner.close()
        gate.door.set()
        assert len(call.result()) == 2
    with pytest.raises(ClosedError, match=CLOSED):
        runner.run(pictures(1))


def test_tflite_runtime_serves_where_litert_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("class Interpreter: pass\n")
    (tmp_path / "tflite_runtime-2.14.0.dist-info").mkdir()
    (tmp_path / "tflite_runtime-2.14.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tflite-runtime\nVersion: 2.14.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for name in ("tflite_runtime", "tflite_runtime.interpreter"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    engine = _load_again(_engine)
    assert engine._Interpreter.__module__ == "tflite_runtime.interpreter"
    assert engine.versions() == {"tflite-runtime": "2.14.0"}


def _load_again(module: ModuleType) -> Any:
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location("engine_once_more", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    return again
