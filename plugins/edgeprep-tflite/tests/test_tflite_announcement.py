"""What LiteRT prints at a process's first model."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgeprep.interfaces import Model, Precision

LINE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"

LOAD = """
import logging, pathlib, sys
from edgeprep_tflite._engine import InterpreterRunner
if sys.argv[2:]:
    logging.getLogger("edgeprep").setLevel(sys.argv[2])
InterpreterRunner(pathlib.Path(sys.argv[1]).read_bytes(), 1)
"""

PRINT = """
import os
from edgeprep_tflite._announcement import without_announcement
try:
    with without_announcement():
        os.write(2, b"one\\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\ntwo\\n")
        raise KeyError
except KeyError:
    os.write(2, b"three\\n")
with without_announcement():
    os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\n")
"""

CLOSED = """
import os
from edgeprep_tflite._announcement import without_announcement
os.close(2)
with without_announcement():
    print("inside")
"""

NPU = """
import os, pathlib, sys
from edgeprep.interfaces import Device
from edgeprep_tflite import _accelerated
os.close(2)
try:
    _accelerated.load(pathlib.Path(sys.argv[1]).read_bytes(), Device(name="npu", kind="npu"), {})
except Exception as error:
    print(type(error).__name__, error)
"""

GPU = """
import os, pathlib, sys
from edgeprep.errors import BackendError
from edgeprep.interfaces import Device
from edgeprep_tflite import _accelerated
before = dict(os.environ)
try:
    _accelerated.load(pathlib.Path(sys.argv[1]).read_bytes(), Device(name="gpu", kind="gpu"), {})
except BackendError:
    pass
print(dict(os.environ) == before)
"""


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


@pytest.fixture
def load(
    models: Mapping[Precision, Model], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A process that loads a model, with a level of the logger "edgeprep" if one is given."""
    path = tmp_path / "model.tflite"
    path.write_bytes(models["fp32"].files["model.tflite"])
    return lambda *level: run_python(LOAD, os.fspath(path), *level)


def test_loading_the_first_model_says_nothing(
    load: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert load().stderr == ""


def test_the_announcement_comes_where_libraries_may_speak(
    load: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert load("DEBUG").stderr == LINE


def test_only_that_line_of_the_first_model_is_held_back() -> None:
    assert run_python(PRINT).stderr == f"one\ntwo\nthree\n{LINE}"


def test_a_closed_stderr_is_no_fault() -> None:
    assert run_python(CLOSED).stdout == "inside\n"


def test_an_npu_that_nobody_hears_is_a_failure(
    models: Mapping[Precision, Model], tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(models["fp32"].files["model.tflite"])
    rule = "backend 'litert': must load the model on device 'npu'"
    got = "stderr that cannot be held back, where LiteRT says whether it does"
    assert run_python(NPU, os.fspath(path)).stdout.endswith(f"BackendError {rule}, got {got!r}\n")


def test_a_gpu_leaves_stdout_and_the_environment_to_the_application(
    models: Mapping[Precision, Model], tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(models["fp32"].files["model.tflite"])
    assert run_python(GPU, os.fspath(path)).stdout == "True\n"
