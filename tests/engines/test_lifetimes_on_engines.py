"""Forks, ends of the program, and sessions that are dropped: no hang and no crash."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgeprep.conversion import Result

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

LIFETIMES = Path(__file__).parents[2] / "tools" / "benchmarks" / "lifetimes.py"
ENGINES = {"onnxruntime": "onnx-fp32", "openvino": "openvino-fp32", "litert": "tflite-fp32"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("what", "rounds"), [("forks", 8), ("ends", 6)])
def test_no_way_to_end_hangs_or_crashes(result: Result, engine: str, what: str, rounds: int):
    command = [sys.executable, LIFETIMES, what, result.bundle, ENGINES[engine], str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == (f"{rounds} of {rounds}\n", 0), done.stderr
    assert "terminate called" not in done.stderr
