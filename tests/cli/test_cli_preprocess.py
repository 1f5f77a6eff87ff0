"""`edgeprep preprocess`: what is printed and drawn of each stage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprep.pictures import read_picture, write_picture
from edgeprep.stages.chain import Chain

Run = Callable[..., Any]

RECIPE = """
name = "seen"

[model]
factory = "model:build"

[task]
use = "tensors"

[[preprocess]]
use  = "resize"
size = [8, 6]

[[preprocess]]
use = "color"
to  = "bgr"

[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.5, 0.5, 0.5]

[data]
calibration = { use = "random", samples = 2 }

[[target]]
format = "fake"
precision = ["fp32"]
"""
STAGES = ["picture", "resize@1", "color@1", "normalize@1", "layout@1"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    red = np.zeros((16, 12, 3), np.uint8)
    red[..., 0] = 255
    write_picture(path, red)
    return path


def test_people_see_a_line_a_stage(edgeprep: Run, recipe: Path, picture: Path) -> None:
    ended = edgeprep("preprocess", recipe, picture)
    assert ended.code == 0
    head, *lines = (line.split() for line in ended.stdout.splitlines())
    assert head == ["stage", "size", "color", "range", "dtype", "least", "greatest", "ms"]
    assert [line[:7] for line in lines] == [
        ["picture", "16×12", "rgb", "0..255", "uint8", "0.000", "255.000"],
        ["resize@1", "8×6", "rgb", "0..255", "float32", "0.000", "255.000"],
        ["color@1", "8×6", "bgr", "0..255", "float32", "0.000", "255.000"],
        ["normalize@1", "8×6", "bgr", "normalized", "float32", "-1.000", "1.000"],
        ["layout@1", "8×6", "bgr", "normalized", "float32", "-1.000", "1.000"],
    ]
    assert [len(line) for line in lines] == [7, 8, 8, 8, 8]


def test_stages_are_closed(
    edgeprep: Run, recipe: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(Chain, "close", lambda chain: closed.append(chain))
    assert edgeprep("preprocess", recipe, picture).code == 0
    assert edgeprep("preprocess", recipe, picture, "-o", recipe).code == 2  # it exists
    assert [len(chain.stages) for chain in closed] == [4, 4]


def test_machines_get_the_same(edgeprep: Run, recipe: Path, picture: Path) -> None:
    ended = edgeprep("preprocess", recipe, picture, "--format", "json")
    document = json.loads(ended.stdout)
    assert list(document) == ["schema_version", "picture", "output", "stages"]
    assert (document["picture"], document["output"]) == (str(picture), None)
    assert [stage["stage"] for stage in document["stages"]] == STAGES
    last = document["stages"][-1]
    assert last["ms"] >= 0
    assert {key: last[key] for key in ("height", "width", "layout", "min", "max")} == {
        "height": 8,
        "width": 6,
        "layout": "nchw",
        "min": pytest.approx(-1.0),
        "max": pytest.approx(1.0),
    }


def test_the_picture_is_drawn_after_each_stage(edgeprep: Run, recipe: Path, picture: Path) -> None:
    output = picture.with_name("out.png")
    ended = edgeprep("preprocess", recipe, picture, "-o", output)
    assert ended.stdout.splitlines()[-1] == str(output)
    sheet = read_picture(output)
    cell = sheet.shape[1] // len(STAGES)
    for index in range(len(STAGES)):
        # Red stays red, whatever the order of channels, the range and the layout.
        assert sheet[100, index * cell + 60].tolist() == [255, 0, 0]


def test_what_is_there_is_not_replaced(edgeprep: Run, recipe: Path, picture: Path) -> None:
    output = picture.with_name("out.png")
    output.write_bytes(b"mine")
    ended = edgeprep("preprocess", recipe, picture, "-o", output)
    assert (ended.code, ended.stdout, output.read_bytes()) == (2, "", b"mine")
    assert ended.stderr == (
        f"edgeprep: {output}: already exists; pass --overwrite (overwrite=True) to replace it\n"
    )
    assert edgeprep("preprocess", recipe, picture, "-o", output, "--overwrite").code == 0


def test_a_picture_that_is_none_is_named(edgeprep: Run, recipe: Path, tmp_path: Path) -> None:
    ended = edgeprep("preprocess", recipe, tmp_path / "absent.png")
    assert ended.code == 1
    assert ended.stderr.startswith(f"edgeprep: {tmp_path / 'absent.png'}: must be a file that can")


def test_a_fault_of_the_recipe_is_a_wrong_recipe(
    edgeprep: Run, recipe: Path, picture: Path
) -> None:
    recipe.write_text(RECIPE.replace('"bgr"', '"gbr"'), encoding="utf-8")
    ended = edgeprep("preprocess", recipe, picture)
    assert ended.code == 2
    assert ended.stderr.startswith("edgeprep: preprocess[1].to: must be one of 'bgr', 'grey', ")


@pytest.mark.parametrize("name", ["picture", "recipe"])
def test_what_is_read_is_not_replaced(
    edgeprep: Run, recipe: Path, picture: Path, name: str
) -> None:
    target = {"picture": picture, "recipe": recipe}[name]
    before = target.read_bytes()
    ended = edgeprep("preprocess", recipe, picture, "-o", target, "--overwrite")
    assert (ended.code, ended.stdout, target.read_bytes()) == (2, "", before)
    assert ended.stderr == (f"edgeprep: {target}: must be another file than what is read, got it\n")
