"""Whether a teacher answers what its student is asked, and in which order."""

from collections.abc import Callable, Sequence

import torch

from edgeprep.compress._meaning import differences
from edgeprep.compress._teacher import Teacher
from edgeprep.errors import EdgePrepError, RecipeError
from edgeprep.interfaces import Workbench
from edgeprep.schema import name_first
from edgeprep.schema.foreign import name_fault
from edgeprep.train.logarithm import logarithm

__all__ = ["Answers", "match_answers"]

Outputs = tuple[torch.Tensor, ...]
Answers = Callable[[torch.Tensor], Outputs]

_NAMED = 5  # so many labels are named in a message; the rest are counted


def match_answers(teacher: Teacher, bench: Workbench) -> Answers:
    """The teacher's answers in the form and order of the student's outputs.

    Classes are matched by the names of their labels; a teacher may know more classes than its
    student.

    Raises:
        RecipeError: the outputs of the two do not fit together, or do not mean the same.
    """
    example = _try(teacher)
    order = _order(teacher, bench)
    convert = _conversion(teacher, bench)

    def answer(inputs: torch.Tensor) -> Outputs:
        outputs = teacher.answer(inputs)
        if order is not None:
            outputs = tuple(_reordered(output, order, teacher) for output in outputs)
        return tuple(map(convert, outputs))

    given = [tuple(output.shape) for output in example]
    if order is not None:
        given = [tuple(output.shape) for output in answer(teacher.example())]
    wanted = [output.shape for output in bench.source.answers]
    if len(given) != len(wanted):
        rule = f"must have as many outputs as the network, {len(wanted)}"
        raise RecipeError(f"distil.teacher: {rule}, got {len(given)} from {teacher.description}")
    for index, (theirs, ours) in enumerate(zip(given, wanted, strict=True)):
        if theirs != ours:
            rule = f"must have output {index} of shape {ours}, as the network has"
            raise RecipeError(f"distil.teacher: {rule}, got {theirs} from {teacher.description}")
    return answer


def _try(teacher: Teacher) -> Outputs:
    """What the teacher answers to an example."""
    taken = teacher.example()
    try:
        return teacher.answer(taken)
    except EdgePrepError as error:
        raise RecipeError(f"distil.teacher: {teacher.description}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's forward may raise anything
        rule = f"must take {str(taken.dtype).removeprefix('torch.')} {tuple(taken.shape)}"
        raise RecipeError(
            f"distil.teacher: {teacher.description} {rule}, got {name_fault(error)}"
        ) from error


def _order(teacher: Teacher, bench: Workbench) -> list[int] | None:
    """Where the teacher has each of the student's classes; None: at the same place, or unknown."""
    labels: Sequence[str] | None = getattr(bench.task, "labels", None)
    if labels is None or teacher.labels is None or tuple(labels) == tuple(teacher.labels):
        return None
    place = {label: index for index, label in enumerate(teacher.labels)}
    missing = [label for label in labels if label not in place]
    if missing:
        named = name_first(_NAMED, missing)
        rule = "must know every label of the task"
        raise RecipeError(
            f"distil.teacher: {rule}, got none for {named} from {teacher.description}"
        )
    return [place[label] for label in labels]


def _reordered(output: torch.Tensor, order: list[int], teacher: Teacher) -> torch.Tensor:
    classes = len(teacher.labels or ())
    if output.ndim < 2 or output.shape[1] != classes:
        rule = f"must have its {classes} classes in axis 1 of every output to be put in order"
        raise RecipeError(
            f"distil.teacher: {rule}, got shape {tuple(output.shape)} from {teacher.description}"
        )
    return output[:, order]


def _conversion(teacher: Teacher, bench: Workbench) -> Callable[[torch.Tensor], torch.Tensor]:
    """Between logits and probabilities, where one of the two networks ends with these."""
    if teacher.task is None:
        return lambda output: output
    for path, ours, theirs in differences(bench.task, teacher.task):
        match path, theirs, ours:
            case "scores", "none", "softmax":
                return logarithm
            case "scores", "softmax", "none":
                return lambda output: output.softmax(1)
        rule = f"must have {path} {ours!r}, as the task"
        raise RecipeError(f"distil.teacher: {rule}, got {theirs!r} from {teacher.description}")
    return lambda output: output
