"""Distillations that cannot be: said with the place, and with what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgeprep.compress._student import narrow
from edgeprep.compress.distil import Distil, Hint, TeacherFactory
from edgeprep.errors import CheckpointError, ConvertError, RecipeError

FACTORY = TeacherFactory(factory="model:build", weights="teacher.safetensors")

Make = Callable[..., nn.Module]
Bench = Callable[..., Any]


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (
            0.02,
            (
                "distil.width: must leave every layer a channel, got 0.02, which leaves none of 16 "
                "in 'blocks.2.1.0'; raise it"
            ),
        ),
        (0.9, "distil.width: must remove channels, got 0 after rounding to 8, for 0.9; lower it"),
    ],
)
def test_a_width_that_cannot_be_is_called_a_width(
    taught: float, build: Make, workbench: Bench, width: float, message: str
) -> None:
    student = build(16)
    with pytest.raises((RecipeError, ConvertError), match=r"^distil\.width") as fault:
        Distil(teacher=FACTORY, width=width).apply(student, workbench(student))
    assert str(fault.value) == message


def test_a_network_in_which_no_channel_can_go_is_told_to_leave_the_width_out(
    build: Make, workbench: Bench
) -> None:
    student = build(4)
    with pytest.raises(ConvertError, match="channels that can go") as fault:
        narrow(student, 0.5, workbench(student))
    assert str(fault.value) == (
        "distil.width: must find channels that can go, got 0 of 7 groups; 'blocks.2.1.0', "
        "'blocks.2.0.0', 'blocks.1.1.0' and 4 more stay: no lower count than 4 is a multiple of 8, "
        "for 0.5; leave it out"
    )


class Holds(nn.Module):
    """Has weights of its own, and does not say how they start."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Flatten()
        self.weight = nn.Parameter(torch.ones(432, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) @ self.weight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"depth": 0.5},
            (
                "distil.depth: must leave out a block of a Sequential whose output has the shape "
                "of its input, got 0.5 of at most 0 such blocks; set width instead, or have the "
                "factory make a network of fewer blocks"
            ),
        ),
        (
            {"start": "scratch"},
            (
                "distil.start: 'scratch' needs modules that can be initialized anew, got 'weight'; "
                "leave model.weights out, and start with those that the factory makes"
            ),
        ),
        (
            {"hints": (Hint(student="iner", teacher="stem"),)},
            (
                "distil.hints[0].student: must be the path of a module of the student, "
                "got 'iner'; did you mean 'inner'?"
            ),
        ),
        (
            {"hints": (Hint(student="inner", teacher="steam"),)},
            (
                "distil.hints[0].teacher: must be the path of a module of the teacher, "
                "got 'steam'; did you mean 'stem'?"
            ),
        ),
        (
            {"teacher": TeacherFactory(factory="model:pair")},
            (
                "distil.teacher: must have as many outputs as the network, 1, got 2 "
                "from factory 'model:pair'"
            ),
        ),
        (
            {"teacher": TeacherFactory(factory="model:make")},
            "distil.teacher.factory: module 'model' has no function 'make'",
        ),
        (
            {"teacher": "../digits"},
            (
                "distil.teacher: must be a recipe, a directory with a recipe.toml, or a .edgeprep "
                "file, got '../digits'; looked for '{directory}/../digits'"
            ),
        ),
    ],
    ids=["depth", "scratch", "student", "teacher", "outputs", "factory", "nothing"],
)
def test_what_cannot_be_done_is_refused_before_any_training(
    taught: float, workbench: Bench, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    bench = workbench(Holds())
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is held below
        Distil(**{"teacher": FACTORY, **options}).apply(Holds(), bench)
    assert str(caught.value) == message.replace("{directory}", str(tmp_path))
    assert bench.trained == []


def test_weights_that_do_not_fit_the_teacher_are_refused(
    taught: float, build: Make, workbench: Bench
) -> None:
    smaller = TeacherFactory(
        factory="model:build", arguments={"width": 2}, weights="teacher.safetensors"
    )
    student = build(4)
    message = "^distil.teacher.weights: 'teacher.safetensors' must fit the network, got"
    with pytest.raises(CheckpointError, match=message):
        Distil(teacher=smaller).apply(student, workbench(student))


def test_a_depth_that_leaves_nothing_out_is_told_with_one_that_does(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build(4)
    with pytest.raises(RecipeError, match=r"distil\.depth") as caught:
        Distil(teacher=FACTORY, depth=0.9).apply(student, workbench(student))
    assert str(caught.value) == (
        "distil.depth: must leave out a block of a Sequential whose output has the shape of its "
        "input, got 0.9 of at most 3 such blocks; set it to at most 0.66"
    )
    Distil(teacher=FACTORY, depth=0.66, epochs=1).apply(student, workbench(student))
    assert [type(block) for block in student.blocks] == [nn.Sequential, nn.Sequential, nn.Identity]
