"""What tools/hammer, soak and bench_golden measure at length, for seconds; and instruction sets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import Result

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ROOT = Path(__file__).parents[2]
ENGINES = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "tflite"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return lambda name: import_module(f"benchmarks.{name}")


@pytest.mark.parametrize("engine", ENGINES)
def test_eight_threads_get_the_answers_that_one_gets(
    result: Result, engine: str, script: Callable[[str], Any]
) -> None:
    hammer = script("hammer")
    with edgeprep.open(result.bundle, prefer=f"{ENGINES[engine]}-int8", probe=False) as session:
        tally = hammer.hammer(session, hammer.mixed((64, 64, 3)), threads=8, answers=3000)
    assert tally.answers >= 3000
    found = (tally.wrong, tally.let_pass, tally.stuck, tally.errors)
    assert found == (0, 0, 0, [])


# One process a set: sets are chosen when engines are loaded. ONNX Runtime and LiteRT know no such
# variable: they take what the processor has, as in every other test.
# With SSE4.1 alone OpenVINO 2026.4 dies of SIGSEGV where it compiles for bf16.
@pytest.mark.parametrize(
    ("instructions", "isolate"), [("SSE41", "1"), ("AVX2", "0"), ("DEFAULT", "0")]
)
def test_golden_samples_are_reproduced_with_other_instructions(
    result: Result, instructions: str, isolate: str
) -> None:
    program = """
import sys
from edgeprep.runtime.benchmark import measure_all
_, outcomes = measure_all(sys.argv[1], prefer="openvino", rounds=1)
for outcome in outcomes:
    if outcome.candidate.backend == "openvino":
        print(outcome.candidate.variant, outcome.verdict, outcome.error, outcome.reason, sep="|")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(result.bundle)],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": instructions, "EDGEPREP_ISOLATE": isolate},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = [line.split("|") for line in done.stdout.splitlines()]
    computed = {variant: float(error) for variant, _, error, _ in found if error != "None"}
    assert {*computed} == {"openvino-fp32", "openvino-int8"}
    # Integers are summed exactly, whatever sums them.
    assert computed["openvino-int8"] <= 1e-6
    assert computed["openvino-fp32"] <= 0.05
    # What has no instruction for bf16 says so when it loads; none computes other numbers.
    rejected = [reason for _, verdict, _, reason in found if verdict == "rejected"]
    words = "got the worker's death by SIGSEGV" if isolate == "1" else "'precision': 'bf16'"
    assert [reason for reason in rejected if words not in reason] == []
    assert [reason for reason in rejected if "wrong numbers" in reason] == []


CYCLES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from benchmarks.soak import cycles
print(json.dumps(cycles(sys.argv[2], sys.argv[3], 30).to_json()["figures"]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_opens_and_closes_leave_nothing(result: Result, engine: str) -> None:
    # In a process of its own: what this one has freed before would hide what is taken.
    command = [sys.executable, "-W", "ignore", "-c", CYCLES, ROOT / "tools", result.bundle, engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    memory, *others = json.loads(done.stdout)
    # A fifth of what 1000 may leave: pages are touched for the first time, too.
    assert memory["value"] <= 1, memory
    assert [figure for figure in others if not figure["met"]] == []


def test_damaged_weights_that_change_answers_are_caught(
    result: Result, script: Callable[[str], Any]
) -> None:
    recipe = ROOT / "model_zoo" / "digits-mobilenet" / "recipe.toml"
    catch, bundle = script("mutations.catch"), open_bundle(result.bundle)
    pictures = catch.calibration_of(recipe, 64)
    variant = bundle.variant("onnx-int8")
    found = list(catch.mutate(bundle, variant, pictures, count=32))
    changing = [one for one in found if one.changed]
    assert len(changing) >= 4
    assert [one for one in changing if not one.caught] == []
    # A bit that is worth nothing is let pass: golden samples are no digest.
    assert not all(one.caught for one in found)
