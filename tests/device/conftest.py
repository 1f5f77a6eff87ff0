"""Tests of the wheels where only a device's libraries are installed; tools/test runs them there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeprep

BUNDLE = os.environ.get("EDGEPREP_TEST_BUNDLE")
# Elsewhere they are not even collected: a checkout's environment has every engine.
collect_ignore_glob = [] if BUNDLE else ["test_*.py"]
# Answers of another machine: only where there are some to compare with.
collect_ignore = [] if os.environ.get("EDGEPREP_TEST_ANSWERS") else ["test_device_answers.py"]

SAMPLES = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet" / "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The one engine of a device environment, and the formats that it cannot run."""

    module: str
    backend: str
    plugin: str
    format: str
    absent: tuple[str, ...]


# By the names in tools/environment.py.
ENGINES = {
    "onnxruntime": Engine(
        module="onnxruntime",
        backend="onnxruntime",
        plugin="onnx",
        format="onnx",
        absent=("openvino", "tflite"),
    ),
    "openvino": Engine(
        module="openvino",
        backend="openvino",
        plugin="openvino",
        format="openvino",
        absent=("onnx", "tflite"),
    ),
    "ai-edge-litert": Engine(
        module="ai_edge_litert.interpreter",
        backend="litert",
        plugin="tflite",
        format="tflite",
        absent=("onnx", "openvino"),
    ),
    "tflite-runtime": Engine(
        module="tflite_runtime.interpreter",
        backend="litert",
        plugin="tflite",
        format="tflite",
        absent=("onnx", "openvino"),
    ),
}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where choices are remembered during the tests."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPREP_CACHE", str(directory))
        yield directory


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The zoo's bundle, six variants, as a workstation made it."""
    return Path(os.environ["EDGEPREP_TEST_BUNDLE"])


@pytest.fixture(scope="session")
def engine() -> Engine:
    """What this environment can run."""
    return ENGINES[os.environ["EDGEPREP_TEST_DEVICE"]]


@pytest.fixture(scope="session")
def session(bundle: Path) -> Iterator[edgeprep.Session]:
    """One session for all tests that only look at it or call it."""
    with edgeprep.open(bundle) as session:
        yield session


@pytest.fixture(scope="session")
def samples() -> dict[str, Path]:
    """A picture file of each digit."""
    return {path.stem.removeprefix("digit-"): path for path in sorted(SAMPLES.glob("digit-*.png"))}
