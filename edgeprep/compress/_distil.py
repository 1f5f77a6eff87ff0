"""Distillation: the student, its teacher, and the training of the one by the other."""

from contextlib import ExitStack, closing

import torch

from edgeprep.compress._answers import match_answers
from edgeprep.compress._hints import Hints, find_modules, recorded
from edgeprep.compress._imitation import Imitation
from edgeprep.compress._student import derive_student
from edgeprep.compress._teacher import Teacher, open_teacher
from edgeprep.compress.distil import Distil
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Workbench
from edgeprep.train.objective import check_imitation
from edgeprep.train.unroll import unrolled

__all__ = ["distil"]


def distil(step: Distil, network: torch.nn.Module, bench: Workbench) -> torch.nn.Module:
    """The student, trained; see `Distil.apply`."""
    check_imitation(bench.objective, bench.task)
    with ExitStack() as stack:
        with bench.step("open the teacher") as done:
            teacher = stack.enter_context(closing(open_teacher(step.teacher, bench)))
            answers = match_answers(teacher, bench)
            # What is misspelt is said before a student is derived.
            find_modules(network, step.hints, "student")
            _modules_of_teacher(step, teacher)
            done(teacher.description)
        bench.examine(answers, key="teacher", who=teacher.description, view=teacher.view)
        with bench.step("prepare the student") as done:
            student = derive_student(step, network, bench)
            hints = _hints(step, student, teacher, bench) if step.hints else None
            count = sum(parameter.numel() for parameter in student.parameters())
            done(f"{count:,} parameters")
        objective = Imitation(
            bench.objective,
            answers,
            view=teacher.view,
            temperature=step.temperature,
            weight=step.weight,
            hints=hints,
        )
        return bench.fine_tune(
            student.requires_grad_(),
            name="distil",
            epochs=step.epochs,
            objective=objective,
            learning_rate=step.learning_rate,
        )


def _hints(step: Distil, student: torch.nn.Module, teacher: Teacher, bench: Workbench) -> Hints:
    """The hints, with adapters for what both networks give for an example."""
    students = find_modules(student, step.hints, "student")
    teachers = _modules_of_teacher(step, teacher)
    with recorded(students) as ours, recorded(teachers) as theirs, torch.no_grad():
        whole = unrolled(student.eval(), bench.source.states)
        whole(torch.zeros(bench.source.sample_shape))
        teacher.answer(teacher.example())
    return Hints(step.hints, students, teachers, ours, theirs, seed=bench.seed)


def _modules_of_teacher(step: Distil, teacher: Teacher) -> dict[str, torch.nn.Module]:
    if not step.hints:
        return {}
    if teacher.network is None:
        rule = "must be absent where the teacher is no network of torch, whose modules can be seen"
        raise RecipeError(f"distil.hints: {rule}, got {len(step.hints)} and {teacher.description}")
    return find_modules(teacher.network, step.hints, "teacher")
