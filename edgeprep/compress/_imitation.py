"""What a student makes small: how far it is from its teacher, and the task's own loss."""

from copy import copy

import torch

from edgeprep.compress._answers import Answers
from edgeprep.compress._hints import Hints
from edgeprep.interfaces import Objective
from edgeprep.train.outputs import flatten_outputs
from edgeprep.train.views import View

__all__ = ["Imitation"]


class Imitation(Objective):
    """The loss of a distillation.

    Args:
        task: the task's own objective, which says how answers are compared.
        answers: the teacher's, in the order of the student's outputs.
        view: what the teacher looks at; None: what the student takes.
        temperature: see `Distil`.
        weight: of the teacher's answers; the task's own loss has the rest of 1.
        hints: what modules are to see; None: nothing.
    """

    def __init__(
        self,
        task: Objective,
        answers: Answers,
        *,
        view: View | None,
        temperature: float,
        weight: float,
        hints: Hints | None,
    ) -> None:
        self._task = task
        self._answers = answers
        self._view = view
        self._temperature = temperature
        self._weight = weight
        self._hints = hints
        self._seen: torch.Tensor | None = None

    def modules(self) -> tuple[torch.nn.Module, ...]:
        """See `Objective.modules`: the adapters of hints, and what the task's own loss has."""
        adapters = () if self._hints is None else self._hints.adapters
        return (*adapters, *self._task.modules())

    def views(self) -> tuple[View, ...]:
        """See `Objective.views`."""
        return () if self._view is None else (self._view,)

    def seeing(self, views: tuple[torch.Tensor, ...]) -> "Imitation":
        """See `Objective.seeing`."""
        other = copy(self)
        other._seen = views[0] if views else None
        return other

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`; without labels, the teacher's answers count alone."""
        looked_at = inputs if self._seen is None else self._seen
        if self._hints is None:
            returned, hinted = network(inputs), inputs.new_zeros(())
            wanted = self._answers(looked_at)
        else:
            with self._hints.watching() as (ours, theirs):
                returned, wanted = network(inputs), self._answers(looked_at)
            hinted = self._hints.loss(ours, theirs)
        outputs = tuple(output.float() for output in flatten_outputs(returned).values())
        imitated = self._task.imitation(outputs, wanted, self._temperature)
        if labels is None or self._weight == 1:
            return imitated + hinted
        own = self._task.loss(_Returned(returned), inputs, labels)
        return self._weight * imitated + (1 - self._weight) * own + hinted


class _Returned(torch.nn.Module):
    """A network that was called already, so that it need not be called again."""

    def __init__(self, returned: object) -> None:
        super().__init__()
        self._returned = returned

    def forward(self, inputs: torch.Tensor) -> object:
        return self._returned
