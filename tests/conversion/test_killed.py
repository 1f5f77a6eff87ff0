"""A conversion that is killed at any moment goes on, and ends with the same bundle."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = """
import torch
from torch import nn


def build(channels=16):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels),
        nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(channels, 3),
    )
"""

DATA = """
import numpy as np


def pictures(seed, count):
    # The class is the channel that is a little brighter.
    rng = np.random.default_rng(seed)
    for index in range(count):
        picture = rng.integers(0, 160, (16, 16, 3), dtype=np.uint8)
        picture[..., index % 3] += 40
        yield picture, index % 3
"""

RECIPE = """
name = "killed"

[model]
factory = "model:build"

[input]
size = [16, 16]

[task]
use = "classify"
labels = ["red", "green", "blue"]

[[augment]]
use = "random-flip"

[[preprocess]]
use = "normalize"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[data]
training = { factory = "data:pictures", arguments = { seed = 0, count = 48 } }
validation = { factory = "data:pictures", arguments = { seed = 1, count = 48 } }
calibration = { factory = "data:pictures", arguments = { seed = 2, count = 16 } }
evaluation = { factory = "data:pictures", arguments = { seed = 3, count = 48 } }

[train]
epochs = 3
batch = 16
learning_rate = 0.01
threads = 1

[[compress]]
use = "distil"
start = "scratch"
teacher = { factory = "model:build", arguments = { channels = 24 } }

[[compress]]
use = "prune"
ratio = 0.5
steps = 2
epochs = 1

[[target]]
format = "onnx"
precision = ["fp32", "int8"]

[budget]
metric = "accuracy"
max_drop = 1.0
"""

# One process imports everything, and forks for each attempt: an import takes longer than what is
# to be killed. The delays are longer each time, so that the end is reached.
ATTEMPTS = """
import os, signal, sys, time
import edgeprep
import edgeprep.conversion.pipeline
import lightning_fabric, torch_pruning
from edgeprep.registry import default_registry
recipe, output, first, step = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
default_registry().get("exporter", "onnx")
kills, delay = 0, first
while True:
    child = os.fork()
    if not child:
        edgeprep.convert(recipe, output)
        os._exit(0)
    end = time.monotonic() + delay
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            print(kills, os.waitstatus_to_exitcode(status))
            sys.exit(status != 0)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills, delay = kills + 1, delay + step
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def attempts(recipe: Path, cache: Path, *, first: float, step: float) -> tuple[int, str]:
    """How often it was killed, and the digest of the bundle."""
    output = recipe.with_name(f"{cache.name}.edgeprep")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, recipe, output, str(first), str(step)],
        env={**os.environ, "EDGEPREP_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills, code = map(int, done.stdout.split()[-2:])
    assert code == 0
    return kills, hashlib.sha256(output.read_bytes()).hexdigest()


def test_a_conversion_that_is_killed_again_and_again_ends_with_the_same_bundle(
    recipe: Path, tmp_path: Path
) -> None:
    kills, whole = attempts(recipe, tmp_path / "whole", first=1e6, step=0)
    assert kills == 0
    kills, killed = attempts(recipe, tmp_path / "killed", first=0.7, step=1.2)
    assert kills >= 3
    assert killed == whole
