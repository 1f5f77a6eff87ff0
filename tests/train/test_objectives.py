"""Losses by hand, and the seam between a task and its own."""

import math

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.tensors import Tensors
from edgeprep.train import objective_for
from edgeprep.train.objectives import CrossEntropy

LABELS = ("a", "b")
OUTPUT = torch.tensor([[0.2, 0.8]])


def loss(scores, smoothing=0.0, output=OUTPUT, label=1):
    task = Classify(labels=LABELS, scores=scores)
    objective = CrossEntropy(task, TrainTable(label_smoothing=smoothing))
    return objective.loss(lambda inputs: output, torch.zeros(1), torch.tensor([label])).item()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("scores", "smoothing", "expected"),
    [
        ("softmax", 0.0, math.log(1 + math.exp(0.2 - 0.8))),
        # Half of a tenth of the label is the other class's.
        ("softmax", 0.1, math.log(1 + math.exp(-0.6)) + 0.05 * 0.6),
        ("sigmoid", 0.0, -(math.log(sigmoid(0.8)) + math.log(1 - sigmoid(0.2))) / 2),
        (
            "sigmoid",
            0.2,
            -(
                0.9 * math.log(sigmoid(0.8))
                + 0.1 * math.log(1 - sigmoid(0.8))
                + 0.1 * math.log(sigmoid(0.2))
                + 0.9 * math.log(1 - sigmoid(0.2))
            )
            / 2,
        ),
        ("none", 0.0, -math.log(0.8)),
    ],
)
def test_the_loss_is_that_of_what_the_scores_mean(scores, smoothing, expected):
    assert loss(scores, smoothing) == pytest.approx(expected, rel=1e-5)


def test_a_probability_of_0_has_a_finite_loss():
    found = loss("none", output=torch.tensor([[1.0, 0.0]]))
    assert found == pytest.approx(-math.log(1e-7), rel=1e-5)


def test_a_network_that_is_wrong_and_sure_of_it_learns_from_it():
    output = torch.tensor([[1.0, 1e-9]], requires_grad=True)
    objective = CrossEntropy(Classify(labels=LABELS, scores="none"), TrainTable())
    objective.loss(lambda inputs: output, torch.zeros(1), torch.tensor([1])).backward()
    # The slope of -log p + log(1 + p) at 1e-7, and of log(1 + p) at 1.
    assert output.grad[0].tolist() == pytest.approx([1.0, 1 - 1e7], rel=1e-5)


def test_a_student_that_is_wrong_and_sure_of_it_learns_from_its_teacher():
    ours = torch.tensor([[1.0, 1e-9]], requires_grad=True)
    objective = CrossEntropy(Classify(labels=LABELS, scores="none"), TrainTable())
    objective.imitation((ours,), (torch.tensor([[0.0, 1.0]]),), 1.0).backward()
    assert ours.grad[0, 1].item() == pytest.approx(-1e7, rel=1e-5)


def test_the_first_of_several_outputs_is_learned_from():
    assert loss("softmax", output=(OUTPUT, torch.ones(1, 7))) == loss("softmax")


def test_pictures_without_labels_are_refused():
    objective = CrossEntropy(Classify(labels=LABELS), TrainTable())
    with pytest.raises(RecipeError, match=r"^data\.training") as fault:
        objective.loss(lambda inputs: OUTPUT, torch.zeros(1), None)
    assert str(fault.value) == (
        "data.training: must have labels, which task 'classify' is learned from, got pictures "
        "without"
    )


def test_a_task_names_its_own_loss():
    assert isinstance(objective_for(Classify(labels=LABELS), TrainTable()), CrossEntropy)


def test_a_task_without_a_loss_cannot_be_learned():
    with pytest.raises(RecipeError, match=r"^task\.use") as fault:
        objective_for(Tensors(), TrainTable())
    assert str(fault.value) == (
        "task.use: must be a task that says what is learned, got 'tensors'; use a task that has, "
        "or a compression step that brings its own"
    )
