"""`edgeprep check`: what people and machines are told of a network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Project = Callable[..., Path]

# The classes of the project's network, a few of them in another unit.
JOINING = {
    "return self.head(x.mean((2, 3)))": "y = self.head(x.mean((2, 3)))\n"
    "        return torch.cat([y[:, :2], 1000 * y[:, 2:]], 1)"
}
FACTORY = 'factory = "model:build"'
DATA = 'calibration = { factory = "data:others" }\nevaluation  = { factory = "data:pictures" }'
INT8 = 'precision = ["fp32", "int8"]'


@pytest.fixture
def joining(project: Project) -> Path:
    """A recipe whose network joins what does not belong together."""
    recipe = project()
    model = recipe.parent / "model.py"
    for old, new in JOINING.items():
        assert old in model.read_text()
        model.write_text(model.read_text().replace(old, new))
    return recipe


def test_a_network_without_faults_is_said_to_be_so(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("check", project(), "-q", "--strict", "--size", "32x32")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-2:] == [
        "nothing costly was found",
        "nothing that breaks int8 was found in the network, on 16 samples",
    ]


def test_findings_are_warnings_with_a_remedy(edgeprep: Run, joining: Path) -> None:
    ended = edgeprep("check", joining, "-q", "--strict", "--only", "network")
    assert ended.code == 1
    (warning,) = ended.stdout.splitlines()
    assert warning.startswith("warning: model: joins 2 tensors that reach ")
    assert warning.endswith(
        " levels; return them as outputs of their own, or bring them to one range before"
    )


def test_what_int8_of_this_package_bears_is_a_note_that_strict_lets_pass(
    edgeprep: Run, project: Project
) -> None:
    recipe = project()
    model = recipe.parent / "model.py"
    even, uneven = "torch.eye(3)", "torch.diag(torch.tensor([1.0, 100.0, 1.0]))"
    assert even in model.read_text()
    model.write_text(model.read_text().replace(even, uneven))
    ended = edgeprep("check", recipe, "-q", "--strict", "--only", "network")
    assert ended.code == 0
    note, last = ended.stdout.splitlines()
    assert note.startswith("note: model 'head': linear has weights up to 100 in one channel ")
    assert last == "nothing that breaks int8 was found in the network, on 16 samples"


def test_machines_get_the_findings(edgeprep: Run, joining: Path) -> None:
    words = ("check", joining, "-q", "--only", "network", "--format", "json")
    document = json.loads(edgeprep(*words).stdout)
    assert (document["size"], document["stages"]) == (None, [])
    assert (document["network"]["samples"], document["network"]["fault"]) == (16, None)
    (finding,) = document["network"]["findings"]
    assert list(finding) == ["killer", "level", "paths", "measured", "remedy", "keep_float"]
    assert (finding["killer"], finding["paths"]) == ("joined-outputs", [""])


def test_people_see_that_the_network_is_looked_into(edgeprep: Run, joining: Path) -> None:
    ended = edgeprep("check", joining, "--only", "network")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("✓ look into the network: 1 found on 16 samples (")


@pytest.mark.parametrize(
    ("replaced", "fault"),
    [
        (
            {FACTORY: 'factory = "modle:build"'},
            "network not checked: model.factory: no module 'modle' beside the recipe or installed",
        ),
        (
            {FACTORY: 'factory = "model:failing"'},
            (
                "network not checked: model.factory: 'model:failing' must return a "
                "torch.nn.Module, got "
            ),
        ),
        (
            {FACTORY: f'{FACTORY}\nweights = "none.safetensors"'},
            "network not checked: model.weights: must be a file, got ",
        ),
        (
            {'labels = ["red", "green", "blue"]': 'labels = ["red", "green"]'},
            "network not checked: task.labels: must name each of the network's 3 classes, got 2 ",
        ),
    ],
    ids=["no module", "failing", "no weights", "labels"],
)
def test_a_network_that_cannot_be_loaded_does_not_keep_preprocessing_from_its_check(
    edgeprep: Run, project: Project, replaced: dict[str, str], fault: str
) -> None:
    recipe = project(replaced)
    ended = edgeprep("check", recipe, "-q", "--size", "32x32")
    assert ended.code == 0
    *_, last, said = ended.stdout.splitlines()
    assert last == "nothing costly was found"
    assert said.startswith(fault)
    assert edgeprep("check", recipe, "-q", "--size", "32x32", "--strict").code == 1
    alone = edgeprep("check", recipe, "-q", "--size", "32x32", "--only", "preprocessing")
    assert alone.stdout.splitlines()[-1] == "nothing costly was found"


def test_without_an_int8_target_the_network_is_looked_into_when_asked(
    edgeprep: Run, project: Project
) -> None:
    recipe = project({INT8: 'precision = ["fp32"]'})
    ended = edgeprep("check", recipe, "-q", "--size", "32x32")
    assert ended.stdout.splitlines()[-1] == "nothing costly was found"
    asked = edgeprep("check", recipe, "-q", "--only", "network")
    assert asked.stdout == "nothing that breaks int8 was found in the network, on 16 samples\n"


def test_without_samples_only_what_is_constant_is_looked_at(
    edgeprep: Run, project: Project
) -> None:
    recipe = project({DATA: "", INT8: 'precision = ["fp32"]'})
    ended = edgeprep("check", recipe, "-q", "--only", "network")
    assert ended.code == 0
    assert ended.stdout == "ranges not measured: data.calibration names no samples\n"
