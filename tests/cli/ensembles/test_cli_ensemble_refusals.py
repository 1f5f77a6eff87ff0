"""What no ensemble is made of, and what is not done with one: the whole message."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgeprep.tensors import ImageSpec

Run = Callable[..., Any]
Make = Callable[..., Path]

STACK: Mapping[str, str] = {
    "weight = 2.0\n": "",
    '"average"': '"stack"',
    "[data]": '[data]\ntraining = { factory = "data:others" }',
}
LABELS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"second.edgeprep": "third.edgeprep"},
            "member[1].bundle: must be a .edgeprep file, got 'third.edgeprep'; looked for ",
            id="no such bundle",
        ),
        pytest.param(
            {"weight = 2.0": 'prefer = "in8"'},
            "member[0].prefer: must be a variant, format or precision of 'first', got 'in8'; known "
            "are 'fake-fp32', 'fake', 'fp32'",
            id="nothing that is preferred",
        ),
        pytest.param(
            {'"blue"]': '"grey"]'},
            "member[0].bundle: its task.labels[2] must be 'grey', as the ensemble's, got 'blue'",
            id="another label",
        ),
        pytest.param(
            {', "blue"]': "]"},
            "member[0].bundle: its task.labels must have 2 entries, as the ensemble's, got 3",
            id="fewer labels",
        ),
        pytest.param(
            {'"classify"': '"multilabel"'},
            "member[0].bundle: must be of task 'multilabel', as task.use says, got 'classify'",
            id="another task",
        ),
        pytest.param(
            {'"classify"': '"classify"\nscores = "none"'},
            "task.scores: must be absent in an ensemble, whose members say it of their own "
            "'classify', got 'none'",
            id="what members say",
        ),
        pytest.param(
            {'"classify"\nlabels = ["red", "green", "blue"]': '"tensors"'},
            "task.use: must be a task whose results can be joined, got 'tensors', which has no "
            "blending",
            id="a task that nobody joins",
        ),
        pytest.param(
            {"[data]": '[data]\ntraining = { factory = "data:others" }'},
            "data.training: must be absent for combiner 'average', which learns nothing, got "
            "{'factory': 'data:others'}",
            id="nobody learns",
        ),
        pytest.param(
            {'"average"': '"stack"'},
            "data.training: required key is missing; combiner 'stack' learns on it",
            id="nothing to learn from",
        ),
        pytest.param(
            {**STACK, "weight = 2.0\n": "weight = 3.0\n"},
            "member[0].weight: must be absent for combiner 'stack', which learns weights, got 3.0",
            id="weights beside those that are learnt",
        ),
        pytest.param(
            {"[data]": '[budget]\nmetric = "map"\n[data]'},
            "budget.metric: must be a metric of task 'classify', got 'map'",
            id="another metric",
        ),
    ],
)
def test_a_recipe_that_cannot_be_made_is_wrong_usage(
    edgeprep: Run, recipe: Make, changes: Mapping[str, str], message: str
) -> None:
    ended = edgeprep("ensemble", recipe(changes), "-q")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith(f"edgeprep: {message}")
    assert not Path("pair.edgeprep").exists()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        pytest.param(
            ImageSpec(),
            ImageSpec(color="bgr"),
            "member[1].bundle: must take pictures in 'rgb', as the members before it do, got 'bgr'",
            id="colour",
        ),
        pytest.param(
            ImageSpec(height=12, width=10),
            ImageSpec(height=10, width=12),
            "member[1].bundle: must take pictures of [12, 10] pixels, as the members before it do, "
            "got [10, 12]; make it without input.size, and with a resize",
            id="size",
        ),
    ],
)
def test_members_that_cannot_take_one_picture_do_not_fit(
    edgeprep: Run,
    recipe: Make,
    rename: Make,
    make_bundle: Make,
    first: ImageSpec,
    second: ImageSpec,
    message: str,
) -> None:
    path = recipe()
    for name, image in (("first", first), ("second", second)):
        rename(make_bundle(*LABELS), path.parent, name, input=image)
    ended = edgeprep("ensemble", path, "-q")
    assert (ended.code, ended.stderr) == (2, f"edgeprep: {message}\n")


def test_an_ensemble_is_no_member(edgeprep: Run, pair: Path) -> None:
    (pair.parent / "second.edgeprep").write_bytes(Path("pair.edgeprep").read_bytes())
    ended = edgeprep("ensemble", pair, "-q", "-o", "nested.edgeprep")
    rule = "must be a bundle of one network, got the ensemble 'pair'"
    place = pair.parent / "second.edgeprep"
    assert (ended.code, ended.stderr) == (1, f"edgeprep: member[1].bundle: {place}: {rule}\n")


def test_evaluation_data_that_were_learnt_are_refused(edgeprep: Run, recipe: Make) -> None:
    path = recipe(STACK)
    more = "\n\ndef mixed():\n    yield from pictures(seed=4)\n    yield from pictures()\n"
    data = path.parent / "data.py"
    data.write_text(data.read_text() + more)
    path.write_text(path.read_text().replace("data:others", "data:mixed"))
    ended = edgeprep("ensemble", path, "-q")
    rule = "must have no picture in common with data.evaluation"
    assert (ended.code, ended.stderr.splitlines()[-1]) == (
        1,
        f"edgeprep: data.training: {rule}, got 24",
    )


def test_a_member_is_not_replaced(edgeprep: Run, recipe: Make) -> None:
    path = recipe()
    output = path.parent / "first.edgeprep"
    before, text = output.read_bytes(), path.read_text()
    ended = edgeprep("ensemble", path, "-o", output, "--overwrite", "-q")
    message = f"{output}: must be another file than what is read, got it"
    assert (ended.code, ended.stderr) == (2, f"edgeprep: {message}\n")
    assert output.read_bytes() == before
    ended = edgeprep("ensemble", path, "-o", path, "--overwrite", "-q")
    assert (ended.code, path.read_text()) == (2, text)


@pytest.mark.parametrize(
    "words",
    [
        ("convert",),
        ("train",),
        ("check",),
        ("search", "-o", "chosen.toml"),
        ("sensitivity",),
        ("preprocess",),
    ],
    ids=lambda words: words[0],
)
def test_commands_for_networks_name_the_one_for_ensembles(
    edgeprep: Run, recipe: Make, pictures: dict[str, Path], words: tuple[str, ...]
) -> None:
    path = recipe()
    more = (pictures["red"],) if words == ("preprocess",) else ()
    ended = edgeprep(words[0], path, *more, *words[1:])
    message = (
        f"{path}: must be the recipe of one network, got that of an ensemble; "
        "edgeprep ensemble makes its bundle, edgeprep evaluate scores that"
    )
    assert (ended.code, ended.stderr) == (2, f"edgeprep: {message}\n")


def test_the_command_for_ensembles_names_the_one_for_networks(edgeprep: Run, project: Make) -> None:
    path = project()
    message = (
        f"{path}: must be the recipe of an ensemble, got that of one network; "
        "edgeprep convert makes its bundle"
    )
    ended = edgeprep("ensemble", path)
    assert (ended.code, ended.stderr) == (2, f"edgeprep: {message}\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("{recipe}",),
            2,
            "Error: BUNDLE: must be given with the recipe of an ensemble, '{recipe}'",
        ),
        (
            ("pair.edgeprep", "{recipe}", "--source"),
            2,
            "Error: --source: must be absent for an ensemble, which has no source",
        ),
        (
            ("{network}", "{recipe}"),
            2,
            "edgeprep: {network}: must be an ensemble, as in the recipe, got the network 'first'",
        ),
        (
            ("pair.edgeprep", "{project}"),
            1,
            "edgeprep: pair.edgeprep: must be a bundle of one network, got the ensemble 'pair'",
        ),
    ],
    ids=["no bundle", "a source", "one network", "the recipe of one network"],
)
def test_what_cannot_be_evaluated_together_is_refused(
    edgeprep: Run, pair: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    names = {
        "recipe": pair,
        "network": pair.parent / "first.edgeprep",
        "project": pair.parent / "recipe.toml",
    }
    ended = edgeprep("evaluate", *(word.format(**names) for word in words))
    assert (ended.code, ended.stderr.splitlines()[-1]) == (code, message.format(**names))


def test_a_recipe_with_other_labels_does_not_score_it(
    edgeprep: Run, pair: Path, recipe: Make
) -> None:
    other = recipe({'"blue"]': '"grey"]'})
    ended = edgeprep("evaluate", "pair.edgeprep", other)
    assert ended.code == 2
    assert ended.stderr.startswith("edgeprep: task.labels[2]: must be 'blue' as in the bundle, got")


def test_an_ensemble_teaches_nobody_and_prepares_for_nobody(
    edgeprep: Run, pair: Path, project: Make
) -> None:
    (pair.parent / "pair.edgeprep").write_bytes(Path("pair.edgeprep").read_bytes())
    place = pair.parent / "pair.edgeprep"
    training = {"[data]": '[data]\ntraining = { factory = "data:others" }'}
    step = '[[compress]]\nuse = "distil"\nteacher = "pair.edgeprep"'
    taught = project(training, more=step)
    ended = edgeprep("convert", taught, "-o", "out.edgeprep", "-q")
    rule = "must be a bundle of one network, got the ensemble 'pair'"
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1].endswith(f"teacher: {place}: {rule}")
    step = (
        '[[preprocess]]\nuse = "model"\nbundle = "pair.edgeprep"\n[[preprocess]]\nuse  = "resize"'
    )
    ended = edgeprep("convert", project({'[[preprocess]]\nuse  = "resize"': step}))
    assert ended.code == 2
    assert rule in ended.stderr
