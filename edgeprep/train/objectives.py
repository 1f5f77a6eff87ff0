"""What training makes small, for the tasks of this package."""

import torch
from torch.nn import functional

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.train.imitation import class_divergence, separate_divergence
from edgeprep.train.logarithm import logarithm, logit
from edgeprep.train.outputs import flatten_outputs

__all__ = ["CrossEntropy", "EachCrossEntropy"]


class CrossEntropy(Objective):
    """How unlikely the labels are for a network that classifies, in nats.

    Args:
        task: its `scores` say what the network's output means.
        settings: how much of a label goes to all classes alike.

    Source: torch.nn.functional.cross_entropy; with scores "sigmoid", the mean over the classes of
    binary_cross_entropy_with_logits.
    """

    def __init__(self, task: Classify, settings: TrainTable) -> None:
        self._task = task
        self._smoothing = settings.label_smoothing

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no labels.
        """
        if labels is None:
            raise RecipeError(
                f"data.training: must have labels, which task {self._task.name!r} is learned from, "
                "got pictures without"
            )
        output, *_ = flatten_outputs(network(inputs)).values()
        output = output.float()
        match self._task.scores:
            case "sigmoid":
                return functional.binary_cross_entropy_with_logits(
                    output, self._smoothed(labels, output)
                )
            case "none":
                # The logarithm of probabilities that add up to 1 is as good as any logits.
                output = logarithm(output)
        return functional.cross_entropy(output, labels, label_smoothing=self._smoothing)

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`."""
        (ours, *_), (theirs, *_) = outputs, wanted
        match self._task.scores:
            case "sigmoid":
                return separate_divergence(ours, theirs, temperature)
            case "none":
                ours, theirs = logarithm(ours), logarithm(theirs)
        return class_divergence(ours, theirs, temperature)

    def _smoothed(self, labels: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """What each class is held to, of which there are two outcomes: it is there, or not."""
        truth = functional.one_hot(labels, output.shape[1]).to(output.dtype)
        return truth * (1 - self._smoothing) + self._smoothing / 2


class EachCrossEntropy(Objective):
    """How unlikely what is there and what is not is for a network of several classes, in nats.

    Args:
        task: its `scores` say what the network's output means.
        settings: how much of a label goes to both outcomes alike.

    Source: the mean over the classes of torch.nn.functional.binary_cross_entropy_with_logits.
    """

    def __init__(self, task: MultiLabel, settings: TrainTable) -> None:
        self._task = task
        self._smoothing = settings.label_smoothing

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no labels.
        """
        if labels is None:
            raise RecipeError(
                f"data.training: must have labels, which task {self._task.name!r} is learned from, "
                "got pictures without"
            )
        output, *_ = flatten_outputs(network(inputs)).values()
        truth = labels * (1 - self._smoothing) + self._smoothing / 2
        return functional.binary_cross_entropy_with_logits(self._logits(output.float()), truth)

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`."""
        ours, theirs = (self._logits(each[0]) for each in (outputs, wanted))
        return separate_divergence(ours, theirs, temperature)

    def _logits(self, output: torch.Tensor) -> torch.Tensor:
        if self._task.scores == "sigmoid":
            return output
        return logit(output)
