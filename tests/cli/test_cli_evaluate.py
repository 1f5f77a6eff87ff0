"""`edgeprep evaluate`: one table for the source, the variants and the backends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprep.pictures import write_picture

Run = Callable[..., Any]
Project = Callable[..., Path]


@pytest.fixture
def recipe(edgeprep: Run, project: Project) -> Path:
    """A recipe whose bundle is out.edgeprep, in the working directory."""
    recipe = project()
    assert edgeprep("convert", recipe, "-o", "out.edgeprep").code == 0
    return recipe


def test_every_variant_is_scored(edgeprep: Run, recipe: Path) -> None:
    document = json.loads(edgeprep("evaluate", "out.edgeprep", recipe, "--format", "json").stdout)
    assert list(document) == [
        "schema_version",
        "metric",
        "metrics",
        "samples",
        "skipped",
        "source",
        "labels",
        "candidates",
        "undefined",
        "rejected",
    ]
    assert (document["metric"], document["samples"]) == ("accuracy", 24)
    scores = {one["variant"]: (one["value"], one["drop"]) for one in document["candidates"]}
    assert scores == {"fake-fp32": (1.0, 0.0), "fake-int8": (1.0, 0.0)}
    assert document["candidates"][0]["confusion"] == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
    lines = edgeprep("evaluate", "out.edgeprep", recipe, "--limit", "6").stdout.splitlines()
    assert lines[0] == "6 samples"
    assert lines[1].split()[:5] == ["variant", "backend", "device", "options", "accuracy"]
    assert lines[2].split()[:5] == ["fake-fp32", "fakes", "cpu", "threads=1", "1.0000"]


def test_a_score_on_fewer_samples_is_not_compared_with_the_recorded_source(
    edgeprep: Run, recipe: Path
) -> None:
    words = ("evaluate", "out.edgeprep", recipe, "--limit", "6", "--format", "json")
    document = json.loads(edgeprep(*words).stdout)
    assert [(one["value"], one["drop"]) for one in document["candidates"]] == [(1.0, None)] * 2


def test_pictures_that_are_left_out_are_counted_and_named(edgeprep: Run, project: Project) -> None:
    rule = 'evaluation = { use = "list", path = "list.csv" }'
    recipe = project({'evaluation  = { factory = "data:pictures" }': rule})
    rows = [(f"{index:02}.png", index % 3) for index in range(12)]
    for name, colour in rows:
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[..., colour] = 200
        write_picture(recipe.parent / name, picture)
    (recipe.parent / "03.png").write_bytes(b"no")
    names = ("red", "green", "blue")
    lines = ["picture,label", *(f"{name},{names[colour]}" for name, colour in rows)]
    (recipe.parent / "list.csv").write_text("\n".join(lines))
    reason = (
        f"{recipe.parent / '03.png'}: must be a JPEG, PNG, WEBP or BMP file, "
        "got one that starts with b'no'"
    )
    ended = edgeprep("evaluate", recipe)
    first = ended.stdout.splitlines()[0]
    assert (ended.code, first) == (0, f"11 samples, 1 unreadable left out: '03.png' ({reason})")
    document = json.loads(edgeprep("evaluate", recipe, "--format", "json").stdout)
    assert document["skipped"] == [{"name": "03.png", "reason": reason}]


def test_the_source_comes_first_in_the_same_table(edgeprep: Run, recipe: Path) -> None:
    words = ("evaluate", "out.edgeprep", recipe, "--source", "--metrics", "f1-macro, top-2")
    lines = edgeprep(*words).stdout.splitlines()
    assert lines[1].split()[4:] == ["f1-macro", "top-2", "f1-macro", "drop", "median", "ms"]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["source", "torch", "cpu"],
        ["fake-fp32", "fakes", "cpu"],
        ["fake-int8", "fakes", "cpu"],
    ]
    assert lines[3].split()[4:7] == ["1.0000", "1.0000", "0.0000"]


def test_a_recipe_alone_scores_its_network_in_torch(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("evaluate", project(), "--metrics", "all", "--limit", "1")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "1 samples"
    assert lines[2].split()[:4] == ["source", "torch", "cpu", "1.0000"]
    assert lines[3:] == [
        "undefined: roc-auc: needs samples of at least 2 classes, got those of class 0 alone"
    ]


def test_a_report_is_written_once(edgeprep: Run, project: Project) -> None:
    words = ("evaluate", project(), "--report", "report")
    ended = edgeprep(*words)
    assert (ended.code, ended.stdout.splitlines()[-1]) == (0, "report: report, 5 files")
    document = json.loads(Path("report/report.json").read_text(encoding="utf-8"))
    assert document["candidates"][0]["value"] == 1.0
    again = edgeprep(*words)
    assert (again.code, again.stdout) == (2, "")
    assert again.stderr == (
        "edgeprep: report: must be an empty or new directory, got one with files in it; "
        "--overwrite replaces those of an earlier report\n"
    )
    assert edgeprep(*words, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing argument 'RECIPE'."),
        (("a", "b", "c"), "Got unexpected extra argument (c)"),
        (("a", "--prefer", "int8"), "--prefer chooses among the variants of a bundle, got 'int8'"),
        (("",), "Invalid value for '[BUNDLE] RECIPE': must be a path, got ''"),
    ],
    ids=["none", "three", "prefer", "empty"],
)
def test_wrong_words_are_refused(edgeprep: Run, words: tuple[str, ...], message: str) -> None:
    ended = edgeprep("evaluate", *words)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"Error: {message}"


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (
            "f1macro",
            "must be a metric of task 'classify', got 'f1macro'; did you mean 'f1-macro'?",
        ),
        ("accuracy,top-0", "k must be at least 1, got 'top-0'"),
        ("all,nope", "'all' must stand alone, got 'all,nope'"),
    ],
    ids=["near", "top nothing", "all and another"],
)
def test_a_metric_that_there_is_not_is_refused(
    edgeprep: Run, project: Project, names: str, fault: str
) -> None:
    ended = edgeprep("evaluate", project(), "--metrics", names)
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", f"edgeprep: metrics: {fault}\n")


def test_labels_in_another_order_are_refused(edgeprep: Run, project: Project, bundle: Path) -> None:
    recipe = project({'"red", "green"': '"green", "red"'})
    ended = edgeprep("evaluate", bundle, recipe)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: task.labels[0]: must be 'red' as in the bundle, got 'green'; "
        "give the recipe that the bundle was made of, or convert this one\n"
    )


def test_evaluation_data_are_needed(edgeprep: Run, project: Project, bundle: Path) -> None:
    unlabelled = {'evaluation  = { factory = "data:pictures" }': ""}
    recipe = project({**unlabelled, '"blue"]': '"blue"]\ntop = 2'})
    ended = edgeprep("evaluate", bundle, recipe)
    assert (ended.code, ended.stdout, ended.stderr) == (
        2,
        "",
        "edgeprep: data.evaluation: required key is missing; scores need labelled samples\n",
    )
