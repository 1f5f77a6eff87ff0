"""Distillation as a pass: who teaches, what is learned, and who the student is."""

from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch
from torch import nn

from edgeprep.compress.distil import Distil, Hint, TeacherFactory

FACTORY = TeacherFactory(factory="model:build", weights="teacher.safetensors")
HINT = Hint(student="blocks.0", teacher="blocks.0")

Make = Callable[..., nn.Module]
Bench = Callable[..., Any]


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
        ("open the teacher", "factory 'model:build'"),
        ("score the teacher", f"accuracy {taught:.4f}"),
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
