"""Sections of tools/bench_field: what they are held to."""

from importlib import import_module
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def section(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"benchmarks.{name}")


@pytest.mark.parametrize(("times", "met"), [(0.96, False), (0.98, True), (1.9, True)])
def test_throughput_is_no_less_than_the_single_runners_but_for_noise(section, times, met):
    single = [100.0, 300.0, 200.0]
    figure = section("throughput").gain("vit", [times * each for each in single], single)
    assert figure.value == pytest.approx(times)
    assert figure.met is met
    # What is let pass as noise is said where the figure is.
    assert figure.name == "vit: for throughput, of the single runner (1 - 0.03)"


def test_throughput_is_compared_turn_by_turn(section):
    # The second turn is one in which the machine was busy with something else.
    figure = section("throughput").gain("vit", [200.0, 20.0, 220.0], [100.0, 10.0, 100.0])
    assert figure.value == 2.0


def test_the_longest_gap_of_each_thing_that_goes_wrong_is_a_figure(section):
    found = {"onnxruntime": {"its worker dies": [0.1, 0.2], "the next one, too": [0.3, 1.2]}}
    report = section("gap").summarize(found)
    assert [(figure.name, figure.value, figure.met) for figure in report.figures] == [
        ("onnxruntime, its worker dies", 0.2, True),
        ("onnxruntime, the next one, too", 1.2, False),
    ]
    assert report.notes[1] == "onnxruntime, the next one, too: median 0.75 s of 2"
