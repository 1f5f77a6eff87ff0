"""Teachers: a recipe's network with its own preprocessing, a bundle on its engine, a factory's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep import convert
from edgeprep.compress._answers import match_answers
from edgeprep.compress._teacher import (
    BundleTeacher,
    NetworkTeacher,
    Teacher,
    open_teacher,
    teacher_files,
)
from edgeprep.compress._views import view_of
from edgeprep.compress.distil import Distil, Hint, TeacherFactory
from edgeprep.errors import BundleError, ClosedError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.stages.chain import Chain
from edgeprep.stages.resize import Resize
from edgeprep.tasks.box_head import ScoreColumns
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tensors import ImageSpec

MODEL = """
import torch
from torch import nn


class Means(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def build():
    return Means()
"""

RECIPE = """
name = "wise"
{input}
[model]
factory = "model:build"
[task]
use = "classify"
labels = {labels}
{preprocess}
[data]
calibration = {{ use = "random", samples = 4, size = [12, 12] }}
[[target]]
format = "onnx"
precision = ["fp32"]
"""

# As the workbench of these tests has it.
SAME = """
[[preprocess]]
use = "normalize"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
[[preprocess]]
use = "dtype"
"""
OWN = """
[[preprocess]]
use = "center-crop"
size = [6, 6]
[[preprocess]]
use = "scale"
"""
FIXED = "[input]\nsize = [12, 12]\n"
LABELS = '["red", "green", "blue"]'

Bench = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A recipe whose network gives the mean of each channel; gives its directory."""

    def write(preprocess: str = OWN, *, input: str = FIXED, labels: str = LABELS) -> Path:
        directory = tmp_path / "wise"
        directory.mkdir(exist_ok=True)
        (directory / "model.py").write_text(MODEL)
        text = RECIPE.format(preprocess=preprocess, input=input, labels=labels)
        (directory / "recipe.toml").write_text(text)
        return directory

    return write


@pytest.fixture
def bench(workbench: Bench) -> Any:
    return workbench(nn.Sequential(nn.Flatten(), nn.Linear(432, 3)))


@pytest.fixture
def picture() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def opened(teacher: str | TeacherFactory, bench: Any) -> Teacher:
    return open_teacher(teacher, bench)


def means_of_own(picture: np.ndarray[Any, Any]) -> list[float]:
    """What the network of the recipe with OWN gives."""
    means: list[float] = (picture[3:9, 3:9] / 255).mean((0, 1)).tolist()
    return means


@pytest.mark.parametrize("name", ["wise", "wise/recipe.toml"])
def test_a_recipe_with_the_same_preprocessing_takes_what_the_student_takes(
    write: Write, bench: Any, name: str
) -> None:
    write(SAME)
    teacher = opened(name, bench)
    assert teacher.view is None
    assert teacher.labels == ("red", "green", "blue")
    assert teacher.task == Classify(labels=("red", "green", "blue"))
    inputs = noise(2, 3, 12, 12)
    (answers,) = teacher.answer(inputs)
    assert torch.allclose(answers, inputs.mean((2, 3)))
    assert not answers.requires_grad


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('"multilabel"', MultiLabel(labels=("red", "green", "blue"))),
        (
            '"detect"\nscores = {output = 1, axis = "second"}',
            Detect(labels=("red", "green", "blue"), scores=ScoreColumns(output=1, axis="second")),
        ),
    ],
    ids=["multilabel", "detect"],
)
def test_a_recipe_says_what_its_answers_mean(
    write: Write, bench: Any, table: str, expected: Task
) -> None:
    recipe = write(SAME) / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"classify"', table))
    teacher = opened("wise", bench)
    assert (teacher.task, teacher.labels) == (expected, ("red", "green", "blue"))


def test_a_recipe_of_a_task_that_cannot_be_is_refused(write: Write, bench: Any) -> None:
    recipe = write(SAME) / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"classify"', '"classify"\nscores = "some"'))
    message = r"^distil\.teacher: recipe 'wise': task\.scores: must be one of .*, got 'some'"
    with pytest.raises(RecipeError, match=message):
        opened("wise", bench)


def test_a_recipe_sees_pictures_as_it_prescribes_itself(
    write: Write, bench: Any, picture: np.ndarray[Any, Any]
) -> None:
    write(OWN)
    teacher = opened("wise", bench)
    assert teacher.view is not None
    view = teacher.view(picture)
    assert (view.shape, view.dtype) == ((6, 6, 3), np.uint8)
    (answers,) = teacher.answer(torch.from_numpy(np.stack([view, view])))
    assert answers[1].tolist() == pytest.approx(means_of_own(picture), abs=1e-6)


def test_a_bundle_answers_on_its_engine(
    write: Write, bench: Any, picture: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    labels = '["blue", "red", "green"]'
    convert(write(OWN, labels=labels) / "recipe.toml", tmp_path / "wise.edgeprep")
    teacher = opened("wise.edgeprep", bench)
    assert isinstance(teacher, BundleTeacher)
    assert teacher.description == "bundle 'wise.edgeprep'"
    assert teacher.labels == ("blue", "red", "green")
    assert teacher.view is not None
    other = picture[::-1].copy()
    views = torch.from_numpy(np.stack([teacher.view(picture), teacher.view(other)]))
    (answers,) = match_answers(teacher, bench)(views)
    for answer, shown in zip(answers, (picture, other), strict=True):
        blue, red, green = means_of_own(shown)
        # In the order of the student's labels.
        assert answer.tolist() == pytest.approx([red, green, blue], abs=1e-5)
    teacher.close()
    with pytest.raises(ClosedError, match="close"):
        teacher.answer(views)

    hints = (Hint(student="0", teacher="0"),)
    message = (
        "^distil.hints: must be absent where the teacher is no network of torch, whose modules can "
        "be seen, got 1 and bundle 'wise.edgeprep'$"
    )
    with pytest.raises(RecipeError, match=message):
        Distil(teacher="wise.edgeprep", hints=hints).apply(bench.came, bench)


def test_a_bundle_that_cannot_serve_lets_go_of_its_engine(
    write: Write, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "wise.edgeprep"
    convert(write(OWN) / "recipe.toml", bundle)
    close, closed = BundleTeacher.close, []

    def record(teacher: BundleTeacher) -> None:
        close(teacher)
        with pytest.raises(ClosedError, match="close"):
            teacher._runner.run((np.zeros((1, 6, 6, 3), np.uint8),))
        closed.append(teacher)

    monkeypatch.setattr(BundleTeacher, "close", record)
    with pytest.raises(RecipeError, match="serve") as caught:
        BundleTeacher(bundle, "wise.edgeprep", bench.registry, ImageSpec(height=24, width=24))
    assert str(caught.value) == (
        "bundle 'wise.edgeprep' must serve as it is, got input.size: must be that of the student, "
        "or free, got [12, 12] for [24, 24]"
    )
    assert len(closed) == 1


def test_a_damaged_bundle_is_refused(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "wise.edgeprep").write_bytes(b"no bundle")
    with pytest.raises(BundleError, match=r"^distil\.teacher: .*wise\.edgeprep: "):
        opened("wise.edgeprep", bench)


def test_a_factory_takes_what_the_student_takes(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    teacher = opened(TeacherFactory(factory="model:build", labels=("blue", "red", "green")), bench)
    assert teacher.view is None
    inputs = noise(2, 3, 12, 12)
    (answers,) = match_answers(teacher, bench)(inputs)
    assert torch.allclose(answers, inputs.mean((2, 3))[:, [1, 2, 0]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_teacher_answers_a_student_that_learns_in_another_precision(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    teacher = NetworkTeacher(network, "wise", taken=(1, 3, 2, 2))
    inputs = noise(5, 3, 2, 2).to(dtype)
    (answers,) = teacher.answer(inputs)
    assert torch.equal(answers, network(inputs.float()))


@pytest.mark.parametrize(
    ("preprocess", "input", "message"),
    [
        (
            OWN,
            "[input]\nsize = [24, 24]\n",
            "input.size: must be that of the student, or free, got [24, 24] for [12, 12]",
        ),
        (
            '[[preprocess]]\nuse = "frame-difference"\n',
            FIXED,
            "preprocess: must look at one picture at a time, got one with a memory",
        ),
        ("[[preprocess]]\nuse = 'resise'\nsize = [6, 6]\n", FIXED, None),
    ],
    ids=["size", "memory", "stage"],
)
def test_a_recipe_that_cannot_take_the_students_pictures_is_refused(
    write: Write, bench: Any, preprocess: str, input: str, message: str | None
) -> None:
    write(preprocess, input=input)
    with pytest.raises(RecipeError, match=r"^distil\.teacher: recipe 'wise' must serve") as caught:
        opened("wise", bench)
    if message is not None:
        assert str(caught.value) == (
            f"distil.teacher: recipe 'wise' must serve as it is, got {message}"
        )


def test_what_a_kept_result_depends_on_is_the_whole_teacher(write: Write, tmp_path: Path) -> None:
    directory = write()
    recipe, model = directory / "recipe.toml", directory / "model.py"
    assert teacher_files("wise", tmp_path) == (recipe, model)
    recipe.write_text(
        recipe.read_text().replace('"model:build"', '"model:build"\nweights = "wise.safetensors"')
    )
    weights = directory / "wise.safetensors"
    message = (
        "^distil.teacher: recipe 'wise': model.weights: must be a file, got 'wise.safetensors'; "
        f"looked for '{weights}'$"
    )
    with pytest.raises(RecipeError, match=message):
        teacher_files("wise", tmp_path)
    weights.touch()
    assert Distil(teacher="wise").files(tmp_path) == (recipe, model, weights)
    (tmp_path / "wise.edgeprep").touch()
    assert teacher_files("wise.edgeprep", tmp_path) == (tmp_path / "wise.edgeprep",)
    factory = TeacherFactory(factory="model:build", weights="a.pt")
    message = (
        f"^distil.teacher.weights: must be a file, got 'a.pt'; looked for '{tmp_path / 'a.pt'}'$"
    )
    with pytest.raises(RecipeError, match=message):
        teacher_files(factory, tmp_path)
    (tmp_path / "a.pt").touch()
    assert teacher_files(factory, tmp_path) == (tmp_path / "a.pt",)


GREEN = np.full((8, 8, 3), (10, 200, 30), np.uint8)


@pytest.mark.parametrize(
    ("taken", "wanted", "given", "seen"),
    [
        ("rgb", "rgb", GREEN, [10, 200, 30]),
        ("rgb", "bgr", GREEN, [30, 200, 10]),
        ("bgr", "bgr", GREEN, [10, 200, 30]),
        ("bgr", "rgb", GREEN, [30, 200, 10]),
        ("bgr", "rgba", GREEN, [30, 200, 10, 255]),
        ("grey", "bgr", GREEN[..., :1], [10, 10, 10]),
    ],
)
def test_a_view_is_in_the_colours_of_the_teacher(
    taken: Any, wanted: Any, given: np.ndarray[Any, Any], seen: list[int]
) -> None:
    host = Chain(input=ImageSpec(color=wanted), stages=(Resize(size=(2, 2)),))
    assert view_of(host, ImageSpec(color=taken))(given)[1, 1].tolist() == seen
