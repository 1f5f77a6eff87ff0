"""Damaged films, a few hundred of the ten thousand of tools/benchmarks/flipped_films.py."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "benchmarks" / "flipped_films.py"


def test_films_with_a_flipped_bit_are_read_as_far_as_they_go_or_refused():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--count", "30", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["foreign"] == 0
    # Each is read in two ways, and some flips are seen in some way.
    assert sum(count for what, count in found.items() if ": " in what) == 2 * 4 * 30
    assert found["live: some frames"] > 0
    assert found["film: some frames, and an error"] > 0


@pytest.fixture
def films(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parents[1]))
    return import_module("benchmarks.flipped_films")


def test_the_section_of_bench_field_counts_them(films, monkeypatch):
    monkeypatch.setattr(films, "COUNT", 2)
    report = films.measure()
    assert [figure.met for figure in report.figures] == [True, True, True]
    assert sum(count for what, count in report.details.items() if ": " in what) == 2 * 4 * 2


def test_who_dies_or_hangs_over_a_film_misses_a_figure(films, monkeypatch, tmp_path):
    died = tmp_path / "died.py"
    died.write_text("import os; os.abort()")
    monkeypatch.setattr(films, "__file__", str(died))
    assert not films.measure().figures[0].met
    died.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(films, "MOST_S", 0.5)
    assert not films.measure().figures[0].met
