"""How far answers are from a teacher's, and in which order a teacher gives them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.compress._answers import match_answers
from edgeprep.compress._teacher import NetworkTeacher
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective, Task
from edgeprep.recipe import TrainTable
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect, Suppression
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import TensorSpec
from edgeprep.train.imitation import class_divergence, separate_divergence
from edgeprep.train.objective import check_imitation
from edgeprep.train.objectives import CrossEntropy


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum()


def test_the_divergence_of_two_classes_is_worked_out_by_hand() -> None:
    # Teacher 3/4 and 1/4, student 1/2 and 1/2: 3/4 ln(3/2) + 1/4 ln(1/2).
    wanted = torch.tensor([[np.log(3.0), 0.0]], dtype=torch.float32)
    found = class_divergence(torch.zeros(1, 2), wanted, 1.0)
    assert float(found) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_is_the_mean_over_pictures_of_softened_distributions(
    temperature: float,
) -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0, 3, (2, 5, 7))
    each = []
    for row, wanted in zip(ours, theirs, strict=True):
        p, q = softmax(wanted / temperature), softmax(row / temperature)
        each.append(float((p * (np.log(p) - np.log(q))).sum()))
    found = class_divergence(torch.from_numpy(ours), torch.from_numpy(theirs), temperature)
    assert float(found) == pytest.approx(np.mean(each) * temperature**2, rel=1e-9)


def test_the_divergence_of_separate_classes_is_that_of_each_being_there_or_not() -> None:
    random = np.random.default_rng(1)
    ours, theirs = random.normal(0, 2, (2, 4, 3))
    q, p = (1 / (1 + np.exp(-values / 2.0)) for values in (ours, theirs))
    each = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    found = separate_divergence(torch.from_numpy(ours), torch.from_numpy(theirs), 2.0)
    assert float(found) == pytest.approx(each.mean() * 4, rel=1e-9)


def test_a_gradient_is_about_as_large_at_every_temperature() -> None:
    # For small logits it is (student - teacher) / classes at any of them (Hinton et al., eq. 4).
    wanted = torch.tensor([[0.02, -0.02]])
    for temperature in (1.0, 10.0):
        logits = torch.zeros(1, 2, requires_grad=True)
        class_divergence(logits, wanted, temperature).backward()
        assert logits.grad is not None
        assert logits.grad[0].tolist() == pytest.approx([-0.01, 0.01], rel=1e-3)


@pytest.mark.parametrize(
    ("scores", "ours", "theirs"),
    [
        ("softmax", [[1.0, 2.0]], [[1.0, 2.0]]),
        ("softmax", [[1.0, 2.0]], [[2.0, 3.0]]),
        ("sigmoid", [[1.0, 2.0]], [[1.0, 2.0]]),
        ("none", [[0.25, 0.75]], [[0.25, 0.75]]),
    ],
)
def test_equal_answers_are_at_no_distance(
    scores: Any, ours: list[list[float]], theirs: list[list[float]]
) -> None:
    objective = CrossEntropy(Classify(labels=("a", "b"), scores=scores), TrainTable())
    answers = torch.tensor(ours), torch.tensor(theirs)
    assert float(objective.imitation(answers[:1], answers[1:], 4.0)) == pytest.approx(0, abs=1e-6)


def test_separate_classes_are_at_a_distance_where_a_softmax_sees_none() -> None:
    objective = CrossEntropy(Classify(labels=("a", "b"), scores="sigmoid"), TrainTable())
    ours, theirs = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 3.0]])
    assert float(objective.imitation((ours,), (theirs,), 1.0)) > 0.01


@dataclass
class Bench:
    """The little of a workbench that answers are matched with."""

    task: Task
    answers: tuple[TensorSpec, ...] = field(
        default=(TensorSpec(name="output", shape=(1, 3), dtype="float32"),)
    )

    @property
    def source(self) -> "Bench":
        return self


LABELS = ("cat", "dog", "owl")


class Says(nn.Module):
    """Gives what it is told to, whatever comes."""

    def __init__(self, *answers: list[float]) -> None:
        super().__init__()
        self.answers = [torch.tensor([answer]) for answer in answers]

    def forward(self, inputs: torch.Tensor) -> Any:
        tensors = [answer.expand(len(inputs), -1) for answer in self.answers]
        return tensors[0] if len(tensors) == 1 else tensors


def teacher_of(
    *answers: list[float], labels: tuple[str, ...] | None = None, scores: str | None = None
) -> NetworkTeacher:
    teacher = NetworkTeacher(Says(*answers), "recipe 'wise'", taken=(1, 2))
    teacher.labels = labels
    if scores is not None:
        task: Any = {"labels": labels, "scores": scores}
        teacher.task = Classify(**task)
    return teacher


def answers_of(teacher: NetworkTeacher, **task: Any) -> list[float]:
    bench: Any = Bench(task=Classify(labels=LABELS, **task))
    (found,) = match_answers(teacher, bench)(torch.zeros(2, 2))
    assert found.shape == (2, 3)
    return [round(value, 4) for value in found[1].tolist()]


def test_classes_are_matched_by_the_names_of_their_labels() -> None:
    assert answers_of(teacher_of([1, 2, 3], labels=("owl", "cat", "dog"))) == [2, 3, 1]


def test_a_teacher_may_know_more_classes_than_its_student() -> None:
    labels = ("owl", "yak", "cat", "ant", "dog")
    assert answers_of(teacher_of([1, 2, 3, 4, 5], labels=labels)) == [3, 5, 1]


@pytest.mark.parametrize("labels", [None, LABELS])
def test_answers_of_the_same_or_unknown_labels_stay_as_they_are(labels: Any) -> None:
    assert answers_of(teacher_of([1, 2, 3], labels=labels)) == [1, 2, 3]


def test_probabilities_and_logits_are_turned_into_each_other() -> None:
    logs = [round(value, 4) for value in np.log([0.2, 0.3, 0.5]).tolist()]
    assert answers_of(teacher_of([0.2, 0.3, 0.5], labels=LABELS, scores="none")) == logs
    given = teacher_of([0.0, 0.0, float(np.log(2))], labels=LABELS, scores="softmax")
    assert answers_of(given, scores="none") == [0.25, 0.25, 0.5]


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (
            teacher_of([1, 2, 3], [4]),
            (
                r"distil.teacher: must have as many outputs as the network, 1, got 2 "
                r"from recipe 'wise'"
            ),
        ),
        (
            teacher_of([1, 2, 3, 4]),
            (
                r"distil.teacher: must have output 0 of shape \(1, 3\), as the network has, "
                r"got \(1, 4\) from recipe 'wise'"
            ),
        ),
        (
            teacher_of([1, 2, 3], labels=("owl", "cow", "hen")),
            (
                r"distil.teacher: must know every label of the task, got none for 'cat', 'dog' "
                r"from recipe 'wise'"
            ),
        ),
        (
            teacher_of([1, 2], labels=("owl", "cat", "dog")),
            (
                r"distil.teacher: must have its 3 classes in axis 1 of every output to be put in "
                r"order, got shape \(1, 2\) from recipe 'wise'"
            ),
        ),
        (
            teacher_of([1, 2, 3], labels=LABELS, scores="sigmoid"),
            (
                r"distil.teacher: must have scores 'softmax', as the task, got 'sigmoid' "
                r"from recipe 'wise'"
            ),
        ),
    ],
    ids=["outputs", "classes", "labels", "axis", "scores"],
)
def test_a_teacher_whose_answers_do_not_fit_is_refused(
    teacher: NetworkTeacher, message: str
) -> None:
    bench: Any = Bench(task=Classify(labels=LABELS))
    with pytest.raises(RecipeError, match=f"^{message}$"):
        match_answers(teacher, bench)


DETECT = Detect(labels=("a", "b"), boxes=BoxColumns(unit="relative"), scores=ScoreColumns(output=1))


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (Restore(), Restore(range=(-1.0, 1.0)), "range (0.0, 1.0), as the task, got (-1.0, 1.0)"),
        (Depth(scale=2.0), Depth(unit="m"), "scale 2.0, as the task, got 1.0"),
        (
            DETECT,
            replace(DETECT, boxes=BoxColumns()),
            "boxes.unit 'relative', as the task, got 'pixels'",
        ),
        (
            DETECT,
            replace(DETECT, scores=ScoreColumns(output=1, activation="softmax")),
            "scores.activation 'sigmoid', as the task, got 'softmax'",
        ),
        (
            DETECT,
            replace(DETECT, objectness=ScoreColumns(output=2)),
            f"objectness None, as the task, got {ScoreColumns(output=2)!r}",
        ),
    ],
    ids=["restore", "depth", "boxes", "scores", "objectness"],
)
def test_a_teacher_whose_answers_mean_something_else_is_refused(
    ours: Task, theirs: Task, message: str
) -> None:
    teacher = teacher_of([1, 2, 3])
    teacher.task = theirs
    bench: Any = Bench(task=ours)
    with pytest.raises(RecipeError, match=r"^distil\.teacher: must have ") as fault:
        match_answers(teacher, bench)
    assert str(fault.value) == f"distil.teacher: must have {message} from recipe 'wise'"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (DETECT, replace(DETECT, least_score=0.5, suppression=Suppression(kind="none"))),
        (MultiLabel(labels=LABELS), MultiLabel(labels=LABELS, least_score=0.9)),
        (Restore(), Restore(overlap=8)),
        (DETECT, Tensors()),
    ],
    ids=["detect", "multilabel", "restore", "of no task"],
)
def test_what_is_made_of_answers_is_no_matter_of_teachers(ours: Task, theirs: Task) -> None:
    teacher = teacher_of([1, 2, 3])
    teacher.task = theirs
    bench: Any = Bench(task=ours)
    (found,) = match_answers(teacher, bench)(torch.zeros(1, 2))
    assert found.tolist() == [[1, 2, 3]]


def test_a_teacher_that_cannot_take_what_it_is_given_is_refused() -> None:
    teacher = NetworkTeacher(nn.Linear(3, 3), "recipe 'wise'", taken=(1, 2))
    bench: Any = Bench(task=Classify(labels=LABELS))
    message = r"^distil\.teacher: recipe 'wise' must take float32 \(1, 2\), got RuntimeError: mat1"
    with pytest.raises(RecipeError, match=message):
        match_answers(teacher, bench)


def test_a_teacher_that_returns_no_tensor_is_refused() -> None:
    class Words(nn.Module):
        def forward(self, inputs: torch.Tensor) -> str:
            return "cat"

    bench: Any = Bench(task=Classify(labels=LABELS))
    message = (
        r"^distil\.teacher: recipe 'wise': model\.factory: the network must return a tensor, or a "
        r"sequence or mapping of tensors, got 'str'$"
    )
    with pytest.raises(RecipeError, match=message):
        match_answers(NetworkTeacher(Words(), "recipe 'wise'", taken=(1, 2)), bench)


def test_many_missing_labels_are_counted() -> None:
    bench: Any = Bench(task=Classify(labels=tuple("abcdefg")))
    message = "got none for 'a', 'b', 'c', 'd', 'e' and 2 more from recipe 'wise'$"
    with pytest.raises(RecipeError, match=message):
        match_answers(teacher_of([1, 2, 3], labels=LABELS), bench)


def test_a_task_that_does_not_say_how_outputs_are_compared_is_refused() -> None:
    class Own(Objective):
        def loss(self, network: Any, inputs: Any, labels: Any) -> torch.Tensor:
            raise AssertionError

    message = (
        "^task.use: must be a task that networks can be distilled for, got 'tensors'; "
        "its objective has no method 'imitation'$"
    )
    with pytest.raises(RecipeError, match=message):
        check_imitation(Own(), Tensors())
