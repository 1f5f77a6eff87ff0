"""Distillation as a pass: who teaches, what is learned, and who the student is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgeprep.compress.distil import Distil, Hint, TeacherFactory
from edgeprep.errors import CheckpointError, ConvertError, RecipeError

MODEL = """
import torch
from torch import nn


def convolution(arriving, leaving):
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()
    )


def block(width):
    return nn.Sequential(convolution(width, width), convolution(width, width))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = convolution(3, width)
        self.blocks = nn.Sequential(block(width), block(width), block(width))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def build(width=8):
    torch.manual_seed(width)
    return Net(width)


def pair(width=8):
    return nn.Sequential(nn.Flatten(), Pair())


class Pair(nn.Module):
    def forward(self, x):
        return x[:, :3], x[:, :3]
"""

FACTORY = TeacherFactory(factory="model:build", weights="teacher.safetensors")
HINT = Hint(student="blocks.0", teacher="blocks.0")

Make = Callable[..., nn.Module]
Bench = Callable[..., Any]


@pytest.fixture
def build(tmp_path: Path) -> Make:
    """The factory that recipes call `model:build`; a trained teacher lies beside it."""
    (tmp_path / "model.py").write_text(MODEL)
    names: dict[str, Any] = {}
    exec(MODEL, names)  # noqa: S102 -- the text above
    make: Make = names["build"]
    return make


@pytest.fixture
def taught(build: Make, workbench: Bench, tmp_path: Path) -> float:
    """The score of a teacher that lies beside the recipe."""
    teacher = build()
    bench = workbench(teacher)
    bench.fine_tune(teacher.requires_grad_(), name="teacher", epochs=8)
    safetensors.torch.save_file(teacher.state_dict(), tmp_path / "teacher.safetensors")
    return float(bench.score(teacher))


def test_a_student_learns_from_its_teacher_without_any_label(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build(4)
    bench = workbench(student, labelled=False)
    before = bench.score(student)
    learned = Distil(teacher=FACTORY, epochs=8).apply(student, bench)
    assert before < 0.5
    assert taught > 0.9
    assert bench.score(learned) > 0.9


def test_what_is_done_is_told(taught: float, build: Make, workbench: Bench) -> None:
    student = build(4)
    bench = workbench(student)
    Distil(teacher=FACTORY, epochs=2, learning_rate=0.02).apply(student, bench)
    count = sum(parameter.numel() for parameter in student.parameters())
    assert bench.told == [
        ("open the teacher", f"factory 'model:build', {taught:.4f} on the validation data"),
        ("prepare the student", f"{count:,} parameters"),
    ]
    assert bench.trained == [("distil", 2)]


def test_hints_teach_a_module_to_see_what_one_of_the_teacher_sees(
    taught: float, build: Make, workbench: Bench
) -> None:
    def seen(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            maps: torch.Tensor = network.eval().blocks[1](network.blocks[0](network.stem(inputs)))
        return maps

    def unexplained(student: nn.Module) -> float:
        """The share of the teacher's variance that no linear map of the student's explains."""
        teacher = build()
        teacher.load_state_dict(safetensors.torch.load_file(bench.directory / FACTORY.weights))
        inputs, _ = next(iter(bench.batches()))
        ours, theirs = (
            seen(network, inputs).transpose(0, 1).flatten(1).T for network in (student, teacher)
        )
        ours = torch.cat((ours, torch.ones(len(ours), 1)), 1)
        rest = theirs - ours @ torch.linalg.lstsq(ours, theirs).solution
        return float(rest.square().sum() / (theirs - theirs.mean(0)).square().sum())

    hint = Hint(student="blocks.1", teacher="blocks.1", weight=5.0)
    found = []
    for hints in ((), (hint,)):
        student = build(4)
        bench = workbench(student, labelled=False)
        for kept in bench.storage.glob("distil*"):
            kept.unlink()
        found.append(
            unexplained(Distil(teacher=FACTORY, hints=hints, epochs=8).apply(student, bench))
        )
    without, with_hint = found
    assert with_hint < 0.8 * without


def test_adapters_learn_and_are_no_part_of_the_student(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build(4)
    names = set(student.state_dict())
    hint = Hint(student="stem", teacher="blocks.2")
    learned = Distil(teacher=FACTORY, hints=(hint,), epochs=1).apply(student, workbench(student))
    assert set(learned.state_dict()) == names
    assert not any(module._forward_hooks for module in learned.modules())


def test_the_same_distillation_comes_to_the_same_weights(
    taught: float, build: Make, workbench: Bench
) -> None:
    states = []
    for _ in range(2):
        student = build(4)
        bench = workbench(student)
        for kept in bench.storage.glob("distil*"):
            kept.unlink()
        step = Distil(teacher=FACTORY, start="scratch", epochs=1, hints=(HINT,))
        states.append(step.apply(student, bench).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_student_of_fewer_blocks_keeps_the_first_ones(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build()
    bench = workbench(student)
    learned: Any = Distil(teacher=FACTORY, depth=0.5, epochs=1).apply(student, bench)
    # Two of three: the least whole number that is no less than half of them.
    assert [type(member).__name__ for member in learned.blocks] == [
        "Sequential",
        "Sequential",
        "Identity",
    ]


def test_a_student_of_half_the_width_has_about_a_quarter_of_the_weights(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build(16)
    bench = workbench(student, labelled=False)
    learned: Any = Distil(teacher=FACTORY, width=0.5, epochs=8).apply(student, bench)
    assert learned.stem[0].out_channels == 8
    assert learned.blocks[2][1][0].weight.shape == (8, 8, 3, 3)
    assert bench.score(learned) > 0.9


def test_a_student_from_scratch_forgets_its_weights(
    taught: float, build: Make, workbench: Bench
) -> None:
    student = build(8)
    student.load_state_dict({k: v * 0 for k, v in student.state_dict().items()})
    bench = workbench(student)
    # All of it at 0, nothing would be learned.
    learned = Distil(teacher=FACTORY, start="scratch", epochs=8).apply(student, bench)
    assert bench.score(learned) > 0.9


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
        (0.9, "distil.width: must remove channels, got 0 after rounding to 8, for 0.9"),
    ],
)
def test_a_width_that_cannot_be_is_called_a_width(
    taught: float, build: Make, workbench: Bench, width: float, message: str
) -> None:
    student = build(16)
    with pytest.raises((RecipeError, ConvertError), match=r"^distil\.width") as fault:
        Distil(teacher=FACTORY, width=width).apply(student, workbench(student))
    assert str(fault.value) == message


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
                "of its input, got 0.5 and 0 such blocks"
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
            "distil.teacher: model.factory: module 'model' has no function 'make'",
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
    narrow = TeacherFactory(
        factory="model:build", arguments={"width": 2}, weights="teacher.safetensors"
    )
    student = build(4)
    message = "^distil.teacher: model.weights: 'teacher.safetensors' must fit the network, got"
    with pytest.raises(CheckpointError, match=message):
        Distil(teacher=narrow).apply(student, workbench(student))
