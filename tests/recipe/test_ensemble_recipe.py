"""The recipes of ensembles: what they say, and what is refused."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from edgeprep.errors import RecipeError
from edgeprep.recipe import is_ensemble_file, load_ensemble_recipe, load_recipe

SCHEMA = Path(__file__).parents[2] / "edgeprep" / "ensemble.schema.json"

RECIPE = """
name = "together"

[[member]]
bundle = "one.edgeprep"
weight = 2
prefer = "int8"

[[member]]
bundle = "sub/other.edgeprep"

[combine]
use = "average"

[task]
use    = "classify"
labels = ["0", "1"]

[data]
evaluation = { factory = "data:evaluation" }

[budget]
metric   = "accuracy"
min_gain = 0.0
"""


@pytest.fixture
def write(tmp_path):
    def write(text=RECIPE):
        (tmp_path / "together.toml").write_text(text)
        return tmp_path / "together.toml"

    return write


def test_a_recipe_is_read_as_values(write, tmp_path):
    recipe = load_ensemble_recipe(write())
    first, second = recipe.member
    assert (first.bundle, first.weight, first.prefer) == ("one.edgeprep", 2.0, "int8")
    assert (second.bundle, second.weight, second.prefer) == ("sub/other.edgeprep", 1.0, None)
    assert (recipe.name, recipe.combine) == ("together", {"use": "average"})
    assert (recipe.budget.metric, recipe.budget.min_gain) == ("accuracy", 0.0)
    assert recipe.directory == tmp_path
    assert len(recipe.sha256) == 64


def test_files_are_read_beside_the_recipe(write, tmp_path):
    (tmp_path / "one.edgeprep").write_bytes(b"content")
    assert load_ensemble_recipe(write()).read("one.edgeprep") == b"content"


MEMBER = '[[member]]\nbundle = "sub/other.edgeprep"\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (MEMBER, "", "member: must have at least 2 items, got [{'bundle': 'one.edgeprep', "),
        ('bundle = "one.edgeprep"', "", "member[0].bundle: required key is missing"),
        ("weight = 2", "weight = 0", "member[0].weight: must be above 0 and at most 1000000.0,"),
        ("weight = 2", "wieght = 2", "member[0].wieght: unknown key; did you mean 'weight'?"),
        ('use = "average"', "", "combine.use: required key is missing"),
        ('use    = "classify"', "", "task.use: required key is missing"),
        ('name = "together"', 'name = "To gether"', "name: must be of lower-case letters, digits"),
        ("evaluation =", "evaluatoin =", "data.evaluatoin: unknown key; did you mean"),
        (
            '{ factory = "data:evaluation" }',
            '{ path = "x" }',
            "data.evaluation: must have one of 'use' and 'factory', got neither",
        ),
        (
            'evaluation = { factory = "data:evaluation" }',
            "",
            "budget: needs data.evaluation to be measured on, got none; add it, or leave [budget]",
        ),
        (
            "[budget]",
            'training = { factory = "data:evaluation" }\n[budget]',
            "data.training: must be other data than data.evaluation, got the same; name",
        ),
        ("[combine]", "[[preprocess]]\n[combine]", "preprocess: unknown key; known here: 'name'"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_place(write, old, new, message):
    assert old in RECIPE
    path = write(RECIPE.replace(old, new, 1))
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}"):
        load_ensemble_recipe(path)


def test_who_converts_networks_is_told_of_the_command_for_ensembles(write):
    path = write()
    message = (
        f"{path}: must be the recipe of one network, got that of an ensemble; "
        "edgeprep ensemble makes its bundle, edgeprep evaluate scores that"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        load_recipe(path)
    assert is_ensemble_file(path)


def test_who_makes_ensembles_is_told_of_the_command_for_networks(write):
    path = write('name = "one"\n[model]\nfactory = "model:build"\n[task]\nuse = "classify"\n')
    message = (
        f"{path}: must be the recipe of an ensemble, got that of one network; "
        "edgeprep convert makes its bundle"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        load_ensemble_recipe(path)
    assert not is_ensemble_file(path)


@pytest.fixture(scope="module")
def editor():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_an_editor_accepts_it(editor):
    assert [error.message for error in editor.iter_errors(tomllib.loads(RECIPE))] == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("weight = 2", "weight = 0", ["member", 0, "weight"]),
        ("weight = 2", "wieght = 2", ["member", 0]),
        (MEMBER, "", ["member"]),
        ('use = "average"', 'use = "boxes"\niou = 2', ["combine", "iou"]),
        ("min_gain = 0.0", 'min_gain = "0"', ["budget", "min_gain"]),
        ('{ factory = "data:evaluation" }', '{ path = "x" }', ["data", "evaluation"]),
    ],
)
def test_an_editor_marks_a_fault_where_it_is(editor, old, new, path):
    table = tomllib.loads(RECIPE.replace(old, new, 1))
    assert path in [list(error.path) for error in editor.iter_errors(table)]
