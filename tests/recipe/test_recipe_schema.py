import json
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "edgeprep" / "recipe.schema.json"

RECIPE = """
name = "digits"
[model]
factory = "model:build"
[task]
use = "classify"
labels = ["0", "1"]
[[preprocess]]
use = "resize"
size = [64, 64]
[[preprocess]]
use = "a-stage-of-some-plugin"
strength = 3
[data]
calibration = { use = "random", samples = 64 }
evaluation = { factory = "data:evaluation" }
training = { factory = "data:training", per_epoch = true }
fps = 12.5
[train]
rates = { "features.*" = 0.1 }
schedule = "one-cycle"
[[target]]
format = "onnx"
precision = ["fp32", "int8"]
opset = 20
"""


@pytest.fixture(scope="module")
def editor():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_schema_in_the_package_is_up_to_date():
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_schema", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_an_editor_accepts_a_recipe(editor):
    assert [error.message for error in editor.iter_errors(tomllib.loads(RECIPE))] == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("model_zoo/*/recipe.toml")), ids=str)
def test_an_editor_accepts_the_recipes_of_the_zoo(editor, path):
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [error.message for error in editor.iter_errors(table)] == []


@pytest.mark.parametrize(
    ("line", "instead", "path"),
    [
        ("[model]", "[modle]", []),
        ('labels = ["0", "1"]', 'labels = "01"', ["task", "labels"]),
        ("size = [64, 64]", "sizes = [64, 64]", ["preprocess", 0]),
        ("size = [64, 64]", "size = [64, 0]", ["preprocess", 0, "size"]),
        ('use = "resize"', 'use = "resize@1"\nstrength = 3', ["preprocess", 0]),
        ('use = "resize"', "", ["preprocess", 0]),
        ("samples = 64", 'samples = "64"', ["data", "calibration", "samples"]),
        ('{ factory = "data:evaluation" }', '{ path = "x" }', ["data", "evaluation"]),
        ('"fp32", "int8"', '"fp31"', ["target", 0, "precision", 0]),
    ],
)
def test_an_editor_marks_a_fault_where_it_is(editor, line, instead, path):
    assert line in RECIPE
    table = tomllib.loads(RECIPE.replace(line, instead, 1))
    assert path in [list(error.path) for error in editor.iter_errors(table)]
