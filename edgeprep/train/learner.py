"""Network and objective as one module, which is what Fabric wraps."""

import torch

from edgeprep.interfaces import Objective
from edgeprep.tensors import TensorSpec
from edgeprep.train.parameters import norms_inside
from edgeprep.train.unroll import unrolled

__all__ = ["Learner"]


Inputs = torch.Tensor | tuple[torch.Tensor, ...]


class Learner(torch.nn.Module):
    """`(inputs, labels)` to the loss of that batch.

    Where the objective looks at pictures in other ways as well, these come with the inputs.

    Args:
        network: what is trained.
        objective: what is made small; its own modules learn along.
        frozen: the paths of the modules of `network` that do not learn.
        states: what `network` takes after a picture; it then learns from whole clips.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        objective: Objective,
        frozen: tuple[str, ...],
        states: tuple[TensorSpec, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.others = torch.nn.ModuleList(objective.modules())
        self._objective = objective
        self._frozen = frozen
        self._states = states

    def train(self, mode: bool = True) -> "Learner":
        """As `torch.nn.Module.train`; batch normalization that does not learn stays as in use."""
        super().train(mode)
        for norm in norms_inside(self.network, self._frozen):
            norm.eval()
        return self

    def forward(self, inputs: Inputs, labels: torch.Tensor | None) -> torch.Tensor:
        """The loss, a scalar."""
        whole = unrolled(self.network, self._states)
        if isinstance(inputs, torch.Tensor):
            return self._objective.loss(whole, inputs, labels)
        taken, *views = inputs
        return self._objective.seeing(tuple(views)).loss(whole, taken, labels)
