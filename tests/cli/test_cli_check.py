"""`edgeprep check`: what people and machines are told of preprocessing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.errors import ExportError

Run = Callable[..., Any]

RECIPE = """
name = "costly"

[model]
factory = "model:build"

[task]
use = "tensors"

[[preprocess]]
use   = "unsharp"
sigma = 2.0

[[preprocess]]
use  = "resize"
size = [32, 32]

[data]
calibration = { use = "random", samples = 2 }

[[target]]
format    = "fake"
precision = ["fp32"]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_people_see_costs_and_warnings(edgeprep: Run, recipe: Path) -> None:
    ended = edgeprep("check", recipe, "-q")
    lines = ended.stdout.splitlines()
    assert (ended.code, ended.stderr) == (0, "")
    assert lines[0].split() == ["stage", "place", "arriving", "numpy", "ms"]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["unsharp@1", "host", "720×1280"],
        ["resize@1", "host", "720×1280"],
        ["layout@1", "graph", "32×32"],
    ]
    assert lines[4].startswith("warning: preprocess[0]: unsharp before resize takes ")
    assert len(lines) == 5


def test_machines_get_the_same(edgeprep: Run, recipe: Path) -> None:
    document = json.loads(edgeprep("check", recipe, "-q", "--format", "json").stdout)
    keys = ["schema_version", "size", "stages", "warnings", "unmeasured", "network"]
    assert list(document) == keys
    assert document["size"] == [720, 1280]
    assert document["stages"][0]["stage"] == "unsharp@1"
    assert len(document["warnings"]) == 1
    # No target is int8, which is what a network is looked into for.
    assert document["network"] is None


def test_a_strict_check_fails_where_there_is_a_warning(edgeprep: Run, recipe: Path) -> None:
    assert edgeprep("check", recipe, "-q", "--strict").code == 1


def test_nothing_costly_is_said_too(edgeprep: Run, recipe: Path) -> None:
    ended = edgeprep("check", recipe, "-q", "--strict", "--size", "32x40")
    assert ended.code == 0
    assert ended.stdout.splitlines()[-1] == "nothing costly was found"


@pytest.mark.parametrize("size", ["720", "x", "720x", "-1x5", "7.5x3", "hd"])
def test_a_size_is_two_numbers(edgeprep: Run, recipe: Path, size: str) -> None:
    ended = edgeprep("check", recipe, f"--size={size}")
    assert ended.code == 2
    assert f"must be HEIGHTxWIDTH in pixels, such as 720x1280, got {size!r}" in ended.stderr


def test_a_size_of_nothing_is_refused(edgeprep: Run, recipe: Path) -> None:
    ended = edgeprep("check", recipe, "-q", "--size=0x5")
    assert ended.code == 2
    assert ended.stderr == ("edgeprep: size: must be 1 to 16384 pixels high and wide, got [0, 5]\n")


def test_a_size_that_memory_would_not_hold_is_refused(edgeprep: Run, recipe: Path) -> None:
    ended = edgeprep("check", recipe, "-q", "--size=16384x4097")
    assert ended.code == 2
    assert ended.stderr == (
        "edgeprep: size: must have at most 67108864 pixels, got [16384, 4097]\n"
    )


def test_a_size_against_the_recipe_is_refused(edgeprep: Run, recipe: Path) -> None:
    recipe.write_text(f"{RECIPE}\n[input]\nsize = [64, 48]\n")
    ended = edgeprep("check", recipe, "-q", "--size=720x1280")
    assert ended.code == 2
    assert ended.stderr == (
        "edgeprep: size: must be [64, 48], as input.size of the recipe says, got [720, 1280]; "
        "leave size out, or input.size\n"
    )


def test_what_was_not_measured_is_said_by_stage(
    edgeprep: Run, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise ExportError("exporter 'fake': must be in the mood, got none")

    monkeypatch.setattr("edgeprep_fakes.FakeExporter.export", refuse)
    recipe.write_text(f'placement = "graph"\n{RECIPE}\n[input]\nsize = [640, 480]\n')
    ended = edgeprep("check", recipe, "-q")
    assert ended.code == 0
    lines = [line for line in ended.stdout.splitlines() if line.startswith("not measured")]
    assert lines[0] == (
        "not measured: preprocess[0]: unsharp in fake: "
        "exporter 'fake': must be in the mood, got none"
    )
