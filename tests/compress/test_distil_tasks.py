"""Distillation for tasks of plugins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from edgeprep.compress._distil import distil
from edgeprep.compress.distil import Distil, TeacherFactory
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective, Task
from edgeprep.recipe import TrainTable
from edgeprep.train.objective import objective_for

Bench = Callable[..., Any]


class Mean(Objective):
    """Learns the mean of a picture."""

    def __init__(self, task: Task, settings: TrainTable) -> None:
        self.module = nn.Linear(1, 1)

    def modules(self) -> tuple[nn.Module, ...]:
        return (self.module,)

    def loss(
        self, network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        return nn.functional.mse_loss(network(inputs)[:, 0], inputs.mean((1, 2, 3)))

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        return nn.functional.mse_loss(outputs[0], wanted[0]) * temperature


class WithoutImitation(Objective):
    """As a task of before there was distillation."""

    def __init__(self, task: Task, settings: TrainTable) -> None:
        pass

    def loss(
        self, network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        raise AssertionError("nothing is to be learned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness(Task):
    """A task of a plugin: one number."""

    name: ClassVar[str] = "brightness"
    metrics: ClassVar[tuple[str, ...]] = ()
    objective: ClassVar[str] = f"{__name__}:Mean"

    def check_outputs(self, outputs: Any) -> None:
        pass

    def decode(self, outputs: Any, frame: Any = None) -> Any:
        return None


class Dark(Brightness):
    objective = f"{__name__}:WithoutImitation"


class OneNumber(nn.Module):
    """The mean of a picture, and something wrong with it."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self.wrong = nn.Parameter(torch.tensor(wrong))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))[:, None] + self.wrong


def of_task(bench: Any, task: Task) -> Any:
    """`bench`, for another task."""

    class Other(type(bench)):  # type: ignore[misc]
        @property
        def task(self) -> Task:
            return task

        @property
        def objective(self) -> Objective:
            return objective_for(task, TrainTable())

    bench.__class__ = Other
    return bench


def test_a_task_of_a_plugin_brings_its_own_imitation(workbench: Bench, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import torch\n\n\nclass Right(torch.nn.Module):\n"
        "    def forward(self, x):\n        return x.mean((1, 2, 3))[:, None] + 0.25\n"
    )
    student = OneNumber(2.0)
    bench = of_task(workbench(student, labelled=False), Brightness())
    step = Distil(teacher=TeacherFactory(factory="model:Right"), epochs=40, learning_rate=0.1)
    learned: Any = step.apply(student, bench)
    assert learned.wrong.item() == pytest.approx(0.25, abs=0.05)


def test_a_task_without_imitation_is_refused(workbench: Bench) -> None:
    bench = of_task(workbench(OneNumber(0.0)), Dark())
    message = (
        "^task.use: must be a task that networks can be distilled for, got 'brightness'; "
        "its objective has no method 'imitation'$"
    )
    with pytest.raises(RecipeError, match=message):
        distil(Distil(teacher="wise"), OneNumber(0.0), bench)
