"""A device computes what the machine computes on which its bundles were made.

tools/test-arm64 runs them on an emulated device, beside answers of the same engine here.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeprep.bundle import open_bundle
from edgeprep.registry import default_registry
from edgeprep.runtime.golden import allowed_error, relative_error
from edgeprep.runtime.opened import OpenedBundle

PROGRAM = Path(__file__).parents[2] / "tools" / "answers.py"
# A directory of bundles, and for each engine a file of answers by `PROGRAM`.
DIRECTORY = Path(os.environ["EDGEPREP_TEST_ANSWERS"])
BUNDLES = sorted(DIRECTORY.glob("*.edgeprep"))

# A session takes fp32 instead. A gate of moving-digits is off by 0.18 when what goes into it is
# rounded by one step otherwise; tflite-runtime is as far from LiteRT on x86.
REJECTED = {
    "onnxruntime": set(),
    "ai-edge-litert": {"moving-digits/tflite-int8"},
    "tflite-runtime": {"moving-digits/tflite-int8", "digits-vit/tflite-int8"},
}


@pytest.fixture(scope="module")
def theirs():
    return dict(np.load(DIRECTORY / f"{os.environ['EDGEPREP_TEST_DEVICE']}.npz"))


@pytest.fixture(scope="module")
def ours(engine, tmp_path_factory):
    file = tmp_path_factory.mktemp("answers") / "ours.npz"
    command = [sys.executable, PROGRAM, engine.format, file, *BUNDLES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    return dict(np.load(file))


def samples(answers, name):
    """The outputs for each sample."""
    keys = [key.split("/") for key in answers if key.startswith(f"{name}/")]
    places = sorted((int(key[2]), int(key[3])) for key in keys if len(key) == 4)
    count = 1 + max(index for index, _ in places)
    return [
        tuple(answers[f"{name}/{index}/{place}"] for index, place in places if index == wanted)
        for wanted in range(count)
    ]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_answers_are_those_of_the_machine_that_made_the_bundle(
    path, precision, engine, ours, theirs, record_testsuite_property
):
    bundle = open_bundle(path)
    variant = bundle.variant(f"{engine.format}-{precision}")
    task = OpenedBundle(bundle, default_registry()).task
    name = f"{path.stem}/{variant.name}"
    # What it remembers is of the network; what it answers comes first.
    answered = len(variant.outputs) - len(variant.states)
    pairs = list(zip(samples(ours, name), samples(theirs, name), strict=True))
    difference = max(
        relative_error(here[:answered], there[:answered], task) for here, there in pairs
    )
    allowed = allowed_error(variant, {})
    accepted = bool(ours[f"{name}/error"] <= allowed)
    verdict = "" if accepted else ", rejected"
    record_testsuite_property(name, f"differs by {difference:.0e}{verdict}")
    assert len(pairs) == bundle.golden(variant).count >= 2
    assert difference <= allowed
    assert accepted == (name not in REJECTED[os.environ["EDGEPREP_TEST_DEVICE"]])
