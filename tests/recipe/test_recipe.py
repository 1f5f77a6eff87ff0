import hashlib
import os
from pathlib import Path

import pytest

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Quantization
from edgeprep.recipe import (
    BudgetTable,
    DataTable,
    InputTable,
    ModelTable,
    Recipe,
    TargetTable,
    load_recipe,
)
from edgeprep.tensors import ImageSpec

SMALLEST = """
name = "digits"
model = { factory = "model:build" }
task = { use = "classify", labels = ["0", "1"] }
target = [{ format = "onnx", precision = ["fp32"] }]
"""
WHOLE = """
name = "digits-mobilenet"
placement = "graph"

[model]
factory = "model:build"
arguments = { classes = 10 }
weights = "weights.safetensors"

[input]
size = [480, 640]
color = "bgr"

[task]
use = "classify"
labels = ["0", "1", "2"]

[[preprocess]]
use = "resize"
size = [64, 64]
[[preprocess]]
use = "normalize"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[data]
calibration = { use = "image-folder", path = "data/train", limit = 256, seed = 0 }
evaluation = { factory = "data:evaluation" }

[[compress]]
use = "prune"
speedup = 2.0

[[target]]
format = "onnx"
precision = ["fp32", "int8"]
keep_float = ["features.0.*"]
opset = 20
[[target]]
format = "tflite"
precision = ["fp32", "int8"]

[budget]
metric = "accuracy"
max_drop = 0.01
"""


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "recipe.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def fault_in(path):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole messages are compared
        load_recipe(path)
    return str(caught.value)


def test_a_whole_recipe_becomes_values(write, tmp_path):
    assert load_recipe(write(WHOLE)) == Recipe(
        name="digits-mobilenet",
        placement="graph",
        model=ModelTable(
            factory="model:build", arguments={"classes": 10}, weights="weights.safetensors"
        ),
        input=InputTable(size=(480, 640), color="bgr"),
        task={"use": "classify", "labels": ["0", "1", "2"]},
        preprocess=(
            {"use": "resize", "size": [64, 64]},
            {"use": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        ),
        data=DataTable(
            calibration={"use": "image-folder", "path": "data/train", "limit": 256, "seed": 0},
            evaluation={"factory": "data:evaluation"},
        ),
        compress=({"use": "prune", "speedup": 2.0},),
        target=(
            TargetTable(
                format="onnx",
                precision=("fp32", "int8"),
                keep_float=("features.0.*",),
                options={"opset": 20},
            ),
            TargetTable(format="tflite", precision=("fp32", "int8")),
        ),
        budget=BudgetTable(metric="accuracy", max_drop=0.01),
        directory=tmp_path,
        sha256=hashlib.sha256(WHOLE.encode()).hexdigest(),
    )


def test_the_smallest_recipe_takes_any_picture_and_splits(write):
    recipe = load_recipe(write(SMALLEST))
    assert recipe.input.image == ImageSpec(height=None, width=None, color="rgb")
    assert (recipe.placement, recipe.preprocess, recipe.compress) == ("split", (), ())
    assert (recipe.data.calibration, recipe.data.evaluation, recipe.budget) == (None, None, None)


@pytest.mark.parametrize(
    "quantize", ["percentile = 99.9", 'calibrator = "percentile"\npercentile = 99.9']
)
def test_a_percentile_is_for_its_calibrator_or_for_a_repair(write, quantize):
    recipe = load_recipe(write(f"{WHOLE}\n[quantize]\n{quantize}\n"))
    assert recipe.quantize.policy.percentile == 99.9


def test_a_percentile_that_is_absent_is_that_of_the_policy(write):
    recipe = load_recipe(write(f'{WHOLE}\n[quantize]\ncalibrator = "percentile"\n'))
    assert recipe.quantize.policies == (Quantization(calibrator="percentile", percentile=99.99),)


def test_a_fixed_size_is_height_and_width(write):
    recipe = load_recipe(write(WHOLE))
    assert recipe.input.image == ImageSpec(height=480, width=640, color="bgr")


def test_a_byte_order_mark_is_no_part_of_a_recipe(write):
    assert load_recipe(write(b"\xef\xbb\xbf" + SMALLEST.encode())).name == "digits"


def test_relative_paths_start_beside_the_recipe(write, monkeypatch):
    path = write(SMALLEST)
    monkeypatch.chdir(path.parent)
    assert load_recipe("recipe.toml").directory == Path()
    assert load_recipe(str(path)).directory == path.parent


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "must be a recipe, got an empty file", id="empty"),
        pytest.param(b" \n\t\n", "must be a recipe, got an empty file", id="blank"),
        pytest.param(b"name = \xff", "must be UTF-8, got b'\\xff'", id="not UTF-8"),
        pytest.param(
            b'name = "a"\nname = "b"\n',
            "must be TOML, got Cannot overwrite a value (at line 2, column 11)",
            id="key twice",
        ),
        pytest.param(
            b'name = "a"\n[model\n',
            "must be TOML, got Expected ']' at the end of a table declaration "
            "(at line 2, column 7)",
            id="malformed",
        ),
        pytest.param(
            b"name = " + b"[" * 10_000,
            "must be TOML, got values nested too deeply",
            id="nested deeply",
        ),
        pytest.param(
            b"#" * 1_000_001, "must have at most 1000000 bytes, got more", id="larger than 1 MB"
        ),
    ],
)
def test_a_file_that_is_no_recipe_is_named(write, content, message):
    path = write(content)
    assert fault_in(path) == f"{path}: {message}"


def test_a_number_of_too_many_digits_is_no_toml(write):
    path = write(b"name = " + b"9" * 5000)
    assert fault_in(path).startswith(f"{path}: must be TOML, got Exceeds the limit")


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "none.toml"
    assert (
        fault_in(path)
        == f"{path}: must be a file that can be read, got 'No such file or directory'"
    )


def test_a_directory_is_named(tmp_path):
    assert fault_in(tmp_path) == f"{tmp_path}: must be a regular file, got a directory"


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert fault_in(path) == f"{path}: must be a regular file, got a pipe"


def test_a_path_that_no_file_can_have_is_refused():
    assert fault_in("a\0b") == "a\0b: must be a file that can be read, got 'embedded null byte'"


# What stands in the place of a line of the whole recipe, and all that is said of it.
FAULTS = {
    "name": (
        'name = "digits-mobilenet"',
        'name = "Digits"',
        (
            "name: must be of lower-case letters, digits and hyphens, the first of them no hyphen, "
            "got 'Digits'; such as 'digits'"
        ),
    ),
    "unknown table": ("[budget]", "[budgets]", "budgets: unknown key; did you mean 'budget'?"),
    "unknown key": (
        'metric = "accuracy"',
        'metrc = "accuracy"',
        "budget.metrc: unknown key; did you mean 'metric'?",
    ),
    "no factory": ('factory = "model:build"', "", "model.factory: required key is missing"),
    "empty factory": (
        'factory = "model:build"',
        'factory = ""',
        "model.factory: must have at least 1 character, got ''",
    ),
    "placement": (
        '"graph"',
        '"grpah"',
        (
            "placement: must be one of 'graph', 'host', 'split' or 'auto', got 'grpah'; "
            "did you mean 'graph'?"
        ),
    ),
    "size nought": (
        "[480, 640]",
        "[480, 0]",
        "input.size[1]: must be at least 1 and at most 16384, got 0",
    ),
    "size too long": (
        "[480, 640]",
        "[16385, 640]",
        "input.size[0]: must be at least 1 and at most 16384, got 16385",
    ),
    "too many pixels": (
        "[480, 640]",
        "[16384, 4097]",
        "input.size: must have at most 67108864 pixels, got [16384, 4097]",
    ),
    "one size": ("[480, 640]", "[480]", "input.size: must have 2 items, got [480]"),
    "colour": (
        '"bgr"',
        '"gray"',
        (
            "input.color: must be one of 'bgr', 'bgra', 'grey', 'i420', 'nv12', 'rgb', 'rgba', "
            "got 'gray'; did you mean 'grey'?"
        ),
    ),
    "planes of an odd size": (
        'size = [480, 640]\ncolor = "bgr"',
        'size = [481, 640]\ncolor = "nv12"',
        "input.size: must be even, both ways, for color 'nv12', got [481, 640]",
    ),
    "range of no planes": (
        'color = "bgr"',
        'color = "bgr"\nyuv_range = "full"',
        ("input.yuv_range: must be absent where color is neither 'nv12' nor 'i420', got 'full'"),
    ),
    "task without use": ('use = "classify"', "", "task.use: required key is missing"),
    "stage without use": ('use = "normalize"', "", "preprocess[1].use: required key is missing"),
    "pass by number": ('use = "prune"', "use = 1", "compress[0].use: must be a string, got 1"),
    "data of no kind": (
        'use = "image-folder", ',
        "",
        "data.calibration: must have one of 'use' and 'factory', got neither",
    ),
    "data of two kinds": (
        '{ factory = "data:evaluation" }',
        '{ factory = "data:evaluation", use = "csv" }',
        "data.evaluation: must have one of 'use' and 'factory', got both",
    ),
    "unknown precision": (
        'precision = ["fp32", "int8"]\nkeep',
        'precision = ["int4"]\nkeep',
        (
            "target[0].precision[0]: must be one of 'bf16', 'fp16', 'fp32', 'int8', "
            "'int8-dynamic', 'int8-int16', 'int8-weight-only', got 'int4'; "
            "did you mean 'int8'?"
        ),
    ),
    "empty precision": (
        'precision = ["fp32", "int8"]\nkeep',
        "precision = []\nkeep",
        "target[0].precision: must have at least 1 item, got []",
    ),
    "precision twice": (
        'precision = ["fp32", "int8"]\nkeep',
        'precision = ["int8", "int8"]\nkeep',
        "target[0].precision: every entry must differ, got 'int8' more than once",
    ),
    "target twice": (
        'format = "tflite"',
        'format = "onnx"',
        "target[1].precision: must differ from target[0], got 'onnx' in 'fp32' again",
    ),
    "negative budget": (
        "max_drop = 0.01",
        "max_drop = -0.01",
        "budget.max_drop: must be at least 0, got -0.01",
    ),
    "percentile that nothing looks at": (
        "max_drop = 0.01",
        'max_drop = 0.01\nrepair = ["keep-float"]\n[quantize]\npercentile = 99.9',
        (
            "quantize.percentile: needs calibrator = 'percentile' to change anything, got "
            "'min-max'; set it, or leave percentile out"
        ),
    ),
    "budget without evaluation": (
        'evaluation = { factory = "data:evaluation" }',
        "",
        "budget: needs data.evaluation to be measured on, got none; add it, or leave [budget] out",
    ),
    "int8 without calibration": (
        'calibration = { use = "image-folder", path = "data/train", limit = 256, seed = 0 }',
        "",
        (
            "target[0].precision: 'int8' needs data.calibration, got none; name pictures there; "
            'noise only by its name, { use = "random", samples = 64 }'
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_recipe_is_named_with_its_path(write, fault):
    line, instead, message = FAULTS[fault]
    assert line in WHOLE
    assert fault_in(write(WHOLE.replace(line, instead, 1))) == message


def test_a_recipe_for_training_alone_needs_no_target(write):
    without = SMALLEST.replace("target =", "compress = [] #")
    assert load_recipe(write(without)).target == ()
    assert fault_in(write(without + "target = []")) == "target: must have at least 1 item, got []"


def test_rules_hold_for_recipes_made_in_python_too():
    with pytest.raises(RecipeError, match=r"^target\[0\]\.precision: 'int8' needs data"):
        Recipe(
            name="digits",
            model=ModelTable(factory="model:build"),
            task={"use": "classify"},
            target=(TargetTable(format="onnx", precision=("int8",)),),
            directory=Path(),
        )
