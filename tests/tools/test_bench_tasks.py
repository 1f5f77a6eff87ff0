"""tools/bench_tasks: what it decodes, how it compares boxes, and what it refuses."""

import subprocess
import sys
from importlib import import_module
from math import inf
from pathlib import Path

import numpy as np
import pytest

from edgeprep.tasks.detect import Detection

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"benchmarks.tasks.{name}")


def test_all_heads_say_the_same_of_8400_candidates(script):
    decode = script("decode")
    yolo, maps, lists = (
        head.task.decode(head.outputs, decode.FRAME) for head in decode.HEADS.values()
    )
    assert len(decode.PRIORS.boxes(*decode.SEEN)) == 8400
    assert len(yolo) >= decode.OBJECTS
    for other in (maps, lists):
        np.testing.assert_array_equal(other.classes, yolo.classes)
        np.testing.assert_allclose(other.scores, yolo.scores, atol=1e-6)
        # Distances in cells and back: pixels of the camera, with the roundings of float32.
        np.testing.assert_allclose(other.boxes, yolo.boxes, atol=1e-3)


def test_boxes_are_compared_at_equal_scores(script):
    distances = script("engines").distances

    def ant(score, *box):
        return Detection(label="ant", index=0, score=score, box=box)

    one, near = ant(0.8, 0, 0, 9, 9), ant(0.805, 0, 0.25, 9, 9)
    assert distances([one], [near]) == [0.25, 0.25]
    assert distances([one], [near, ant(0.8, 0, 0, 9, 10)]) == [0.25, 0.25, 1.0]
    assert distances([one], [ant(0.7, 0, 0, 9, 9)]) == [inf, inf]
    assert distances([one], []) == [inf]
    assert distances([], []) == []


def test_an_unknown_name_is_refused():
    command = [sys.executable, TOOLS / "bench_tasks", "decoed"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "bench_tasks: error: NAME: must be one of decode, engines, got 'decoed'"
    )
