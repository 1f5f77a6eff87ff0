"""`edgeprep search`: what people and machines are told, and what is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.recipe import load_recipe

Run = Callable[..., Any]
Project = Callable[..., Path]

COSTLY = "0.28"
BUDGET = '[budget]\nmetric = "accuracy"\nmax_drop = 0.01'
SEARCH = '[search]\ncalibrator = ["min-max", "mse"]'


def test_people_see_the_front_and_the_recipe_that_was_chosen(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_FAULT", COSTLY)
    recipe = project(more=f"{BUDGET}\n{SEARCH}")
    ended = edgeprep("search", recipe)
    lines = ended.stdout.splitlines()
    output = recipe.with_name("recipe-searched.toml")
    assert ended.code == 0
    assert lines[0] == "3 points on the evaluation data; those that no other one beats:"
    assert lines[1].split() == [
        *("variant", "pruned", "placement", "calibrator", "value", "drop", "ms", "bytes")
    ]
    chosen = next(line for line in lines if line.startswith("chosen")).split()
    assert chosen[1:7] == ["fake-fp32", "0", "split", "min-max", "1.0000", "0.0000"]
    assert lines[-1] == str(output)
    assert [one.precision for one in load_recipe(output).target] == [("fp32",)]
    assert output.read_text().splitlines()[0] == (
        "# not pruned, placement 'split', calibrator 'min-max'; chosen by "
        "`edgeprep search recipe.toml`"
    )
    assert "✓ fake-int8, not pruned, placement 'split', calibrator 'mse': 0." in ended.stderr


def test_the_recipe_that_was_written_converts(edgeprep: Run, project: Project) -> None:
    recipe = project(more=f"{BUDGET}\n{SEARCH}")
    assert edgeprep("search", recipe, "-q").code == 0
    ended = edgeprep("convert", recipe.with_name("recipe-searched.toml"), "-q")
    assert ended.code == 0


def test_machines_get_every_point(edgeprep: Run, project: Project) -> None:
    recipe = project(more=SEARCH)
    ended = edgeprep("search", recipe, "-q", "--format", "json")
    document = json.loads(ended.stdout)
    assert ended.code == 0
    assert sorted(document) == [
        *("chosen", "data", "front", "left", "points", "recipe", "schema_version", "warnings")
    ]
    first = document["points"][0]
    assert first["combination"] == {"prune": 0.0, "placement": "split", "calibrator": "min-max"}
    assert (first["variant"], first["value"], first["fault"]) == ("fake-fp32", 1.0, "")


def test_a_way_that_failed_is_told_with_its_fault(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_FAULT", "2")
    ended = edgeprep("search", project(more='[search]\ncalibrator = ["mse"]'), "-q")
    assert ended.code == 0
    assert (
        "failed: fake-int8, not pruned, placement 'split', calibrator 'mse': fake-int8: must agree "
        "with the source within 5e-01 of its largest output, got 2.00e+00 on 16 samples"
    ) in ended.stdout.splitlines()


def test_no_point_within_the_budget_exits_3_and_writes_nothing(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_FAULT", COSTLY)
    recipe = project(more=f'{BUDGET}\n[search]\nprecision = ["int8"]')
    ended = edgeprep("search", recipe, "-q")
    assert (ended.code, ended.stdout) == (3, "")
    start = "edgeprep: budget: accuracy may drop by at most 0.01, got fake-int8 0."
    assert start in ended.stderr
    assert not recipe.with_name("recipe-searched.toml").exists()
    told = edgeprep("search", recipe, "-q", "--format", "json")
    document = json.loads(told.stdout)
    assert told.code == 3
    assert ended.stderr.endswith(f"edgeprep: {document['error']}\n")
    assert [one["variant"] for one in document["points"]] == ["fake-int8"] * 3
    assert 1 <= len(document["front"]) <= 3


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(
    edgeprep: Run, project: Project
) -> None:
    recipe = project(more=SEARCH)
    output = recipe.with_name("recipe-searched.toml")
    output.write_text("mine")
    ended = edgeprep("search", recipe, "-q")
    assert ended.code == 2
    assert ended.stderr == (
        f"edgeprep: {output}: already exists; pass --overwrite (overwrite=True) to replace it\n"
    )
    assert output.read_text() == "mine"
    assert edgeprep("search", recipe, "-q", "--overwrite").code == 0
    assert output.read_text() != "mine"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("elsewhere/r.toml", "must lie beside 'recipe.toml', where its paths start, got '"),
        (
            "recipe.toml",
            "must not be the recipe itself, which would be replaced, got 'recipe.toml'",
        ),
    ],
)
def test_a_place_that_would_lose_something_is_refused_before_any_work(
    edgeprep: Run, project: Project, output: str, message: str
) -> None:
    recipe = project(more=SEARCH)
    (recipe.parent / "elsewhere").mkdir()
    ended = edgeprep("search", recipe, "-o", recipe.parent / output, "--overwrite", "-q")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"edgeprep: {recipe.parent / output}: {message}")
    assert load_recipe(recipe).name == "small"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("minutes = 0", "search.minutes: must be above 0, got 0"),
        ("prune = [1.0]", "search.prune[0]: must be at least 0 and below 1, got 1.0"),
        ("prune = []", "search.prune: must have at least 1 item, got []"),
        ('calibrator = ["mode"]', "search.calibrator[0]: must be one of "),
        ("ratio = [0.5]", "search.ratio: unknown key"),
    ],
)
def test_a_wrong_space_is_a_fault_of_the_recipe(
    edgeprep: Run, project: Project, table: str, message: str
) -> None:
    ended = edgeprep("search", project(more=f"[search]\n{table}"), "-q")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"edgeprep: {message}")
