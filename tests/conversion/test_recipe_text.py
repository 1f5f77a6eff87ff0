"""Recipes written as text are read back as they were."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeprep.conversion.recipe_text import recipe_text
from edgeprep.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((*ROOT.glob("model_zoo/*/*.toml"), *ROOT.glob("tools/benchmarks/models/*.toml")))

EVERYTHING = """
name = "every-key"
placement = "auto"

[model]
factory = "model:build"
arguments = { classes = 3, deep = { "a b" = [1, 2.5, true] } }
weights = "w.safetensors"

[input]
size = [64, 48]
color = "nv12"
yuv_range = "full"

[task]
use = "classify"
labels = ["a \\"quoted\\" label", "ü\\u007f"]

[[augment]]
use = "random-flip"

[[preprocess]]
use = "resize"
size = [32, 32]

[data]
calibration = { use = "random", samples = 3 }
evaluation = { factory = "data:evaluation" }
training = { factory = "data:training" }
validation = { factory = "data:validation" }
fps = 12.5

[train]
epochs = 7
learning_rate = 3e-4
freeze = ["features.*"]
rates = { "head.*" = 0.1 }

[[compress]]
use = "prune"
ratio = 0.25
limits = { "head" = 0.1 }

[[compress]]
use = "distil"
teacher = "../other"

[quantize]
calibrator = "mse"
weight_range = "both"
keep_float = ["head"]

[[target]]
format = "onnx"
precision = ["fp32", "int8"]
keep_float = ["stem"]
opset = 18

[budget]
metric = "accuracy"
max_drop = 0.01
repair = []
max_latency_ms = 3.5

[search]
prune = [0.0, 0.5]
minutes = 2.5
"""


def read_again(recipe: Recipe, place: Path) -> Recipe:
    place.write_text(recipe_text(recipe, "a line"))
    return load_recipe(place)


def plain(recipe: Recipe) -> Recipe:
    return replace(recipe, sha256="", directory=Path())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_of_the_house_is_read_back_as_it_was(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    assert plain(read_again(recipe, tmp_path / "again.toml")) == plain(recipe)


def test_every_key_is_read_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "every.toml").write_text(EVERYTHING)
    recipe = load_recipe(tmp_path / "every.toml")
    assert plain(read_again(recipe, tmp_path / "again.toml")) == plain(recipe)


def test_what_is_as_by_default_is_left_out_and_tables_come_as_people_write_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "every.toml").write_text(EVERYTHING)
    text = recipe_text(load_recipe(tmp_path / "every.toml"), "a line")
    heads = [line for line in text.splitlines() if line.startswith(("[", "#", "name"))]
    assert heads == [
        *("# a line", 'name      = "every-key"', "[model]", "[input]", "[task]", "[[augment]]"),
        *("[[preprocess]]", "[data]", "[train]", "[[compress]]", "[[compress]]", "[quantize]"),
        *("[[target]]", "[budget]", "[search]"),
    ]
    assert "percentile" not in text
    assert "momentum" not in text
