"""tools/bench_preprocess: its table, its reference, and what it refuses."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("benchmarks.figures")


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("benchmarks.preprocessing.reference")


def test_a_table_has_ours_the_target_and_the_verdict_of_each_figure(figures):
    kept = figures.Figure(name="quick", value=0.25, limit=0.5, unit="ms")
    missed = figures.Figure(name="ratio", value=3.0, limit=4.0, rule="at least")
    lines = figures.Report(title="speed", figures=(kept, missed), notes=("a note",)).table()
    assert [line.split() for line in lines.splitlines()] == [
        ["speed"],
        ["ours", "target"],
        ["quick", "0.25", "ms", "at", "most", "0.5", "met"],
        ["ratio", "3", "at", "least", "4", "NOT", "MET"],
        ["a", "note"],
    ]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # 3 pixels to 2: centres at 0.25 and 1.75; antialiased, the triangle reaches 1.5 pixels.
        pytest.param("bilinear", [[0.75, 0.25, 0], [0, 0.25, 0.75]], id="bilinear"),
        pytest.param("area", [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], id="area"),
        pytest.param("antialiased", [[5 / 8, 3 / 8, 0], [0, 3 / 8, 5 / 8]], id="antialiased"),
    ],
)
def test_the_reference_weighs_as_worked_out_by_hand(reference, method, expected):
    assert np.allclose(reference.matrix(method, 3, 2), expected, atol=1e-15)


def test_an_unknown_name_is_refused():
    command = [sys.executable, TOOLS / "bench_preprocess", "acuracy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "bench_preprocess: error: NAME: must be one of accuracy, speed, stages, got 'acuracy'"
    )
