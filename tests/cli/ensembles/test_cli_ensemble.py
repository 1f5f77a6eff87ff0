"""`edgeprep ensemble`, and what the other commands make of its bundles and recipes."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import EnsembleBundle, open_either, write_ensemble
from edgeprep.tensors import ImageSpec

Run = Callable[..., Any]
Make = Callable[..., Path]

STACK: Mapping[str, str] = {
    "weight = 2.0\n": "",
    '"average"': '"stack"',
    "[data]": '[data]\ntraining = { factory = "data:others" }',
}
LABELS = ("red", "green", "blue")


def test_an_ensemble_is_made_and_scored_beside_its_members(edgeprep: Run, recipe: Make) -> None:
    ended = edgeprep("ensemble", recipe(), "-o", "out.edgeprep")
    assert ended.code == 0
    steps = [re.sub(r" \(\d+\.\d s\)$", "", line) for line in ended.stderr.splitlines()]
    assert [step for step in steps if not step.startswith("an engine")] == [
        "✓ read the members: first, second",
        "✓ score ensemble and members: accuracy 1.0000, members 1.0000, 1.0000 on 24 samples",
        f"✓ pack: out.edgeprep, {Path('out.edgeprep').stat().st_size:,} bytes",
    ]
    lines = ended.stdout.splitlines()
    assert lines[0] == "24 samples"
    assert [line.split()[:2] for line in lines[1:]] == [
        ["variant", "backend"],
        ["ensemble", "average"],
        ["first/fake-fp32", "fakes"],
        ["second/fake-fp32", "fakes"],
        ["out.edgeprep"],
    ]


def test_machines_get_one_document(edgeprep: Run, recipe: Make) -> None:
    ended = edgeprep("ensemble", recipe(), "-q", "--format", "json")
    document = json.loads(ended.stdout)
    assert document["bundle"] == "pair.edgeprep"
    assert document["combine"] == {"use": "average@1"}
    assert document["trained"] == 0
    assert document["members"] == [
        {"name": "first", "weight": 2.0, "prefer": None},
        {"name": "second", "weight": 1.0, "prefer": None},
    ]
    rows = document["evaluation"]["candidates"]
    assert [row["variant"] for row in rows] == ["ensemble", "first/fake-fp32", "second/fake-fp32"]
    assert [(row["value"], row["drop"]) for row in rows] == [(1.0, None), (1.0, 0.0), (1.0, 0.0)]
    assert all(row["median_ms"] > 0 for row in rows)


def test_the_bundle_says_what_it_scored(edgeprep: Run, recipe: Make) -> None:
    assert edgeprep("ensemble", recipe()).code == 0
    opened = open_either("pair.edgeprep")
    assert isinstance(opened, EnsembleBundle)
    score = opened.manifest.score
    assert (score.metric, score.value, score.samples) == ("accuracy", 1.0, 24)
    assert len(score.data) == 32
    assert [part.weight for part in opened.manifest.parts] == [2.0, 1.0]


def test_one_bundle_twice_is_stored_once(edgeprep: Run, recipe: Make) -> None:
    assert edgeprep("ensemble", recipe({"second.edgeprep": "first.edgeprep"})).code == 0
    opened = open_either("pair.edgeprep")
    assert isinstance(opened, EnsembleBundle)
    assert [part.bundle for part in opened.manifest.parts] == ["parts/0.edgeprep"] * 2
    assert list(opened.contents) == ["parts/0.edgeprep"]


def test_a_combiner_is_taught(edgeprep: Run, recipe: Make) -> None:
    ended = edgeprep("ensemble", recipe(STACK))
    assert "✓ learn to combine: 21 numbers, 24 samples" in ended.stderr
    document = json.loads(edgeprep("inspect", "pair.edgeprep", "--format", "json").stdout)
    assert [one["array"]["shape"] for one in document["manifest"]["learnt"]] == [[3, 6], [3]]
    assert "scikit-learn" in document["manifest"]["created_with"]
    opened = open_either("pair.edgeprep")
    assert isinstance(opened, EnsembleBundle)
    weights = opened.learnt["weights"]
    # More of a class speaks for it: of both members alike, as both say the same.
    np.testing.assert_allclose(weights[:, :3], weights[:, 3:], atol=1e-3)
    assert (weights[:, :3].argmax(axis=1) == np.arange(3)).all()


def test_it_is_evaluated_like_any_model(edgeprep: Run, pair: Path) -> None:
    words = ("evaluate", "pair.edgeprep", pair, "--metrics", "all", "--report", "report")
    ended = edgeprep(*words, "--format", "json")
    document = json.loads(ended.stdout)
    assert [(row["variant"], row["backend"]) for row in document["candidates"]] == [
        ("ensemble", "average"),
        ("first/fake-fp32", "fakes"),
        ("second/fake-fp32", "fakes"),
    ]
    assert document["candidates"][0]["confusion"] == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
    assert "f1-macro" in document["metrics"]
    names = {path.name for path in Path("report").iterdir()}
    assert {"report.json", "scores.csv", "confusion-ensemble-average-.png"} <= names
    lines = edgeprep("evaluate", "pair.edgeprep", pair, "--limit", "6").stdout.splitlines()
    assert lines[0] == "6 samples"
    assert lines[2].split()[:3] == ["ensemble", "average", "1.0000"]


def test_it_runs_on_pictures(edgeprep: Run, pair: Path, pictures: dict[str, Path]) -> None:
    ended = edgeprep("run", "pair.edgeprep", *pictures.values(), "--format", "json")
    document = json.loads(ended.stdout)
    assert [one["label"] for one in document["results"]] == list(LABELS)
    assert (document["choice"]["variant"], document["choice"]["backend"]) == ("ensemble", "average")


def test_it_is_shown_to_people(edgeprep: Run, pair: Path) -> None:
    opened = open_either("pair.edgeprep")
    sizes = {path.stem: path.stat().st_size for path in pair.parent.glob("*.edgeprep")}
    lines = edgeprep("inspect", "pair.edgeprep").stdout.splitlines()
    assert lines[:7] == [
        "name       pair",
        f"digest     {opened.digest}",
        f"size       {opened.size_bytes} bytes, 2 members",
        "task       classify labels=['red', 'green', 'blue']",
        "input      rgb any size",
        "combine    average@1",
        "score      accuracy 1.0000 on 24 samples",
    ]
    assert lines[9:] == [
        "member  weight  prefer  bytes  variants   metric    source",
        f"first        2           {sizes['first']}  fake-fp32  accuracy  0.9688",
        f"second       1           {sizes['second']}  fake-fp32  accuracy  0.9688",
    ]


def test_what_it_says_of_a_member_and_is_not_so_is_not_shown(edgeprep: Run, pair: Path) -> None:
    opened = open_either("pair.edgeprep")
    assert isinstance(opened, EnsembleBundle)
    first, second = opened.manifest.parts
    manifest = replace(opened.manifest, parts=(replace(first, name="other"), second))
    write_ensemble("pair.edgeprep", manifest, opened.contents, overwrite=True)
    ended = edgeprep("inspect", "pair.edgeprep")
    assert ended.code == 1
    assert ended.stdout == ""
    message = "parts[0].name: must be 'first', as its bundle says, got 'other'"
    assert ended.stderr == f"edgeprep: pair.edgeprep: {message}\n"


def test_every_way_to_run_it_is_measured(edgeprep: Run, pair: Path) -> None:
    ended = edgeprep("benchmark", "pair.edgeprep", "--rounds", "2", "--format", "json")
    document = json.loads(ended.stdout)
    assert document["choice"]["variant"] == "ensemble"
    assert [one["variant"] for one in document["candidates"]] == [
        "ensemble",
        *["first/fake-fp32"] * 2,
        *["second/fake-fp32"] * 2,
    ]


def test_boxes_of_two_detectors_are_joined(
    edgeprep: Run, recipe: Make, rename: Make, make_task_bundle: Make, pictures: dict[str, Path]
) -> None:
    detect = {
        "use": "detect",
        "labels": list(LABELS),
        "boxes": {"output": 0},
        "scores": {"output": 1},
        "least_score": 0.1,
    }
    path = recipe(
        {
            '"average"': '"boxes"\niou = 0.5',
            '"classify"': '"detect"',
            "weight = 2.0\n": "",
            'evaluation = { factory = "data:pictures" }': "",
        }
    )
    for name in ("first", "second"):
        rename(make_task_bundle("boxes", **detect), path.parent, name)
    assert edgeprep("ensemble", path).code == 0
    document = json.loads(
        edgeprep("run", "pair.edgeprep", pictures["green"], "--format", "json").stdout
    )
    alone = json.loads(
        edgeprep(
            "run", path.parent / "first.edgeprep", pictures["green"], "--format", "json"
        ).stdout
    )
    both, one = (each["results"][0]["objects"] for each in (document, alone))
    assert [each["label"] for each in both] == ["green", "red"]
    # Both found the same.
    for found, wanted in zip(both, one, strict=True):
        assert found["label"] == wanted["label"]
        assert found["box"] == pytest.approx(wanted["box"])
        assert found["score"] == pytest.approx(wanted["score"])


def test_members_answer_as_they_were_scored_whatever_they_leave_out_alone(
    edgeprep: Run, recipe: Make, rename: Make, make_task_bundle: Make, pictures: dict[str, Path]
) -> None:
    # The first member alone leaves out what the second one keeps.
    path = recipe(
        {
            '"average"': '"boxes"\niou = 0.5',
            '"classify"': '"detect"\nleast_score = 0.01',
            "weight = 2.0\n": "",
            'evaluation = { factory = "data:pictures" }': "",
        }
    )
    detect = {"use": "detect", "labels": list(LABELS), "boxes": {"output": 0}}
    for name, least in (("first", 0.9), ("second", 0.1)):
        bundle = make_task_bundle("boxes", **detect, scores={"output": 1}, least_score=least)
        rename(bundle, path.parent, name)
    assert edgeprep("ensemble", path).code == 0
    import edgeprep as package
    from edgeprep.pictures import read_picture

    picture = read_picture(pictures["green"])
    with package.open("pair.edgeprep") as session:
        joined = [(one.label, one.score) for one in session(picture)]
    with package.open(path.parent / "second.edgeprep") as session:
        alone = [(one.label, one.score) for one in session(picture)]
    # Both are one network, which found the same.
    assert [label for label, _ in alone] == [label for label, _ in joined] == ["green", "red"]
    assert min(score for _, score in alone) < 0.9
    assert [score for _, score in joined] == pytest.approx([score for _, score in alone])


def test_pictures_of_two_networks_are_joined(
    edgeprep: Run, recipe: Make, rename: Make, make_task_bundle: Make, pictures: dict[str, Path]
) -> None:
    # A picture and its negative: grey.
    path = recipe(
        {
            '"classify"\nlabels = ["red", "green", "blue"]': '"restore"',
            "weight = 2.0\n": "",
            'evaluation = { factory = "data:pictures" }': "",
        }
    )
    for name, network in (("first", "maps"), ("second", "negative")):
        rename(make_task_bundle(network, use="restore"), path.parent, name)
    assert edgeprep("ensemble", path).code == 0
    import edgeprep as package
    from edgeprep.pictures import read_picture

    with package.open("pair.edgeprep") as session:
        restored = session(read_picture(pictures["blue"])).picture
    assert restored.shape == (12, 10, 3)
    assert (restored == 128).all()


def test_a_gain_that_is_asked_for_and_not_reached_is_over_budget(
    edgeprep: Run, recipe: Make
) -> None:
    budget = '[budget]\nmetric = "accuracy"\nmin_gain = 0.01\n\n[data]'
    ended = edgeprep("ensemble", recipe({"[data]": budget}), "-q", "--format", "json")
    message = (
        "budget.min_gain: 'pair' must be at least 0.01 better by accuracy than its best member, "
        "got 0.0000"
    )
    assert ended.code == 3
    assert f"edgeprep: {message}" in ended.stderr.splitlines()
    document = json.loads(ended.stdout)
    assert document["error"] == message
    assert document["evaluation"]["candidates"][0]["value"] == 1.0
    assert not Path("pair.edgeprep").exists()


def test_a_gain_that_is_reached_is_within_budget(edgeprep: Run, recipe: Make) -> None:
    budget = '[budget]\nmetric = "f1-macro"\nmin_gain = 0.0\n\n[data]'
    ended = edgeprep("ensemble", recipe({"[data]": budget}))
    assert ended.code == 0
    assert "f1-macro" in ended.stdout


def test_a_member_of_one_size_gives_it_to_all(
    edgeprep: Run, recipe: Make, rename: Make, make_bundle: Make
) -> None:
    path = recipe({'evaluation = { factory = "data:pictures" }': ""})
    size = ImageSpec(height=12, width=10)
    rename(make_bundle(*LABELS), path.parent, "second", input=size)
    assert edgeprep("ensemble", path).code == 0
    assert open_either("pair.edgeprep").manifest.input == size
