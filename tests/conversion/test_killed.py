"""What is killed at any moment, or in each of its steps, goes on and ends with the same result."""

import hashlib
import json
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


def hostile():
    # Right by construction. Between the second layer and the third the channels are a factor of
    # 30,000 apart, and one scale for all of them leaves nothing of the narrow ones.
    scales = torch.tensor([1.0, 173.0, 30000.0])
    layers = [nn.Conv2d(3, 3, 1, bias=False) for _ in range(6)]
    for layer in layers:
        layer.weight.data = torch.eye(3)[:, :, None, None]
    layers[1].weight.data *= scales[:, None, None, None]
    layers[2].weight.data /= scales[:, None, None, None]
    head = nn.Linear(3, 3)
    head.weight.data, head.bias.data = torch.eye(3), torch.full((3,), 4.0)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
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

HEAD = """
name = "killed"

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
"""

COMPRESSED = """
[model]
factory = "model:build"

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

# In int8 it loses two of three answers, and fine-tuning brings none of them back: only layers in
# float do.
REPAIRED = """
freeze = ["1", "2"]

[model]
factory = "model:hostile"

[[target]]
format = "onnx"
precision = ["int8"]

[budget]
metric = "accuracy"
max_drop = 0.02
repair = ["fine-tune", "keep-float"]
"""

SEARCHED = """
[model]
factory = "model:build"

[[compress]]
use = "prune"
ratio = 0.25
steps = 1
epochs = 1

[[target]]
format = "onnx"
precision = ["int8"]

[search]
prune = [0.5, 0.25]
precision = ["int8"]
calibrator = ["min-max", "mse"]
"""

# One process imports everything, and forks for each attempt: an import takes longer than what is
# to be killed. Either the delays are longer each time, so that the end is reached; or each step
# kills its own process, once for each title: a moment after it began, or when the next one begins.
ATTEMPTS = """
import json, os, re, signal, sys, threading, time
from contextlib import contextmanager
from pathlib import Path
import edgeprep
import edgeprep.conversion.pipeline
import lightning_fabric, msgspec, onnxruntime.quantization, onnxscript, torch_pruning
import torch.onnx._internal.exporter._core, torch.onnx._internal.exporter._registration
from edgeprep.conversion.search import search
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
work, recipe, output, *delays = sys.argv[1:]
output, told = Path(output), Path(output + ".steps")
default_registry().get("exporter", "onnx")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def progress(title):
    # All epochs are one: the moment until a kill is as long as some of them.
    step = re.sub("epoch [0-9].*", "epoch", title)
    if not delays and step not in steps:
        if told.exists():
            die()
        told.write_text(step)
        timer = threading.Timer(0.05, die)
        timer.daemon = True
        timer.start()
    yield lambda _: None

def attempt():
    if work == "convert":
        # It may be killed when the bundle is there.
        edgeprep.convert(recipe, output, overwrite=True, progress=progress)
        return
    points = search(load_recipe(recipe), progress=progress).points
    # How long a picture takes is another figure each time.
    same = [msgspec.structs.replace(point, latency_ms=0.0) for point in points]
    output.write_bytes(msgspec.json.encode(same))

kills, steps = 0, []
while True:
    told.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        attempt()
        os._exit(0)
    if delays:
        end = time.monotonic() + float(delays[0]) + kills * float(delays[1])
        while not (over := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.005)
        if not over[0]:
            os.kill(child, signal.SIGKILL)
            over = os.waitpid(child, 0)
    else:
        over = os.waitpid(child, 0)
        if told.exists():
            steps.append(told.read_text())
    if not os.WIFSIGNALED(over[1]):
        print(json.dumps([kills, steps]))
        sys.exit(os.waitstatus_to_exitcode(over[1]))
    if os.WTERMSIG(over[1]) != signal.SIGKILL:
        sys.exit(f"killed by signal {os.WTERMSIG(over[1])}")
    kills += 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    return tmp_path


def attempts(
    project: Path, recipe: str, name: str, *delays: float, work: str = "convert"
) -> tuple[int, list[str], str]:
    """How often it was killed, in which steps, and the digest of what it wrote.

    Args:
        project: a directory with the code of recipes.
        recipe: what comes after `HEAD`.
        name: of a cache directory, and of what is written.
        delays: after how many seconds the first attempt is killed, and how many more each next
            one has; none: in each step.
        work: what is killed, "convert" or "search".
    """
    path, output = project / "recipe.toml", project / f"{name}.edgeprep"
    path.write_text(HEAD + recipe)
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, work, path, output, *map(str, delays)],
        env={**os.environ, "EDGEPREP_CACHE": str(project / name), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills, steps = json.loads(done.stdout.splitlines()[-1])
    return kills, steps, hashlib.sha256(output.read_bytes()).hexdigest()


NEVER = (1e6, 0.0)


def test_a_conversion_that_is_killed_again_and_again_ends_with_the_same_bundle(
    project: Path,
) -> None:
    kills, _, whole = attempts(project, COMPRESSED, "whole", *NEVER)
    assert kills == 0
    kills, _, killed = attempts(project, COMPRESSED, "killed", 0.2, 0.25)
    assert kills >= 3
    assert killed == whole


def test_a_repair_that_is_killed_in_each_step_ends_with_the_same_bundle(project: Path) -> None:
    *_, whole = attempts(project, REPAIRED, "whole", *NEVER)
    kills, steps, killed = attempts(project, REPAIRED, "killed")
    tuned = "onnx-int8, no layer in float, calibrator 'min-max', fine-tuned"
    ranked = "rank the layers by what quantizing each one costs"
    assert {"onnx-int8", tuned, "simulate int8", ranked} <= {*steps}
    assert any(title.startswith("epoch") for title in steps)
    # Trials with layers in float, too.
    assert len([title for title in steps if title.endswith("fine-tuned")]) >= 3
    assert kills >= len(steps) - 1  # the last may be over before it is killed
    assert killed == whole


def test_a_search_that_is_killed_in_each_step_ends_with_the_same_points(project: Path) -> None:
    *_, whole = attempts(project, SEARCHED, "whole", *NEVER, work="search")
    kills, steps, killed = attempts(project, SEARCHED, "killed", work="search")
    ways = [title for title in steps if title.startswith("onnx-int8, pruned by ")]
    assert len(ways) == 4
    assert "prune: find groups of channels" in steps
    assert kills >= len(steps) - 1
    assert killed == whole
