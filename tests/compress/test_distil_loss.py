"""What a distillation makes small: answers of the teacher, and the task's own loss."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.compress._imitation import Imitation
from edgeprep.recipe import TrainTable
from edgeprep.tasks.classify import Classify
from edgeprep.train.objectives import CrossEntropy


def loss_of(weight: float, **options: Any) -> tuple[Imitation, list[torch.Tensor]]:
    asked: list[torch.Tensor] = []

    def answers(inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        asked.append(inputs)
        return (torch.tensor([[2.0, 0.0, -2.0]]),)

    task = CrossEntropy(Classify(labels=("a", "b", "c")), TrainTable())
    options = {"view": None, "hints": None, "temperature": 2.0, **options}
    return Imitation(task, answers, weight=weight, **options), asked


class Fixed(nn.Module):
    """Counts how often it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([[1.0, 0.5, 0.0]]))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.logits


def expected_loss(weight: float) -> float:
    """0.5 · T² · KL of softened answers, and cross entropy of label 2, term by term."""
    logits, wanted = np.array([1.0, 0.5, 0.0]), np.array([2.0, 0.0, -2.0])
    p, q = (np.exp(each / 2) / np.exp(each / 2).sum() for each in (wanted, logits))
    divergence = 4 * (p * np.log(p / q)).sum()
    entropy = -np.log(np.exp(logits[2]) / np.exp(logits).sum())
    return float(weight * divergence + (1 - weight) * entropy)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_is_a_mixture_of_the_teachers_and_the_tasks(weight: float) -> None:
    objective, asked = loss_of(weight)
    network, inputs = Fixed(), torch.zeros(1, 4)
    loss = objective.loss(network, inputs, torch.tensor([2]))
    assert loss.item() == pytest.approx(expected_loss(weight), rel=1e-6)
    assert network.calls == 1
    assert [one is inputs for one in asked] == [True]


def test_without_labels_the_teachers_answers_count_whole() -> None:
    loss = loss_of(0.3)[0].loss(Fixed(), torch.zeros(1, 4), None)
    assert loss.item() == pytest.approx(expected_loss(1.0), rel=1e-6)


def test_a_teacher_with_a_preprocessing_of_its_own_is_asked_about_its_view() -> None:
    objective, asked = loss_of(1.0, view=np.asarray)
    assert objective.views() == (np.asarray,)
    view = torch.ones(1, 7)
    objective.seeing((view,)).loss(Fixed(), torch.zeros(1, 4), None)
    objective.loss(Fixed(), inputs := torch.zeros(1, 4), None)
    assert [one is wanted for one, wanted in zip(asked, (view, inputs), strict=True)] == [True] * 2
