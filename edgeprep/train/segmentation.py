"""What training makes small for segmentation."""

import torch
from torch.nn import functional

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.tasks.segment import Segment
from edgeprep.train.imitation import class_divergence, separate_divergence
from edgeprep.train.logarithm import logarithm
from edgeprep.train.outputs import flatten_outputs
from edgeprep.truths import IGNORED

__all__ = ["PixelCrossEntropy"]


class PixelCrossEntropy(Objective):
    """How unlikely the classes of pixels are for a network that segments, in nats.

    Outputs are brought to the size of the mask before, bilinearly, as results are. Pixels of 255
    are not learned from.

    Args:
        task: its `scores` say what the network's output means.
        settings: how much of a label goes to all classes alike.

    Raises:
        RecipeError: outputs are numbers of classes, from which nothing can be learned.

    Source: torch.nn.functional.cross_entropy, the mean over all pixels of a batch.
    """

    def __init__(self, task: Segment, settings: TrainTable) -> None:
        if task.scores == "classes":
            rule = "must say how likely classes are, where a network learns"
            raise RecipeError(f"task.scores: {rule}, got {task.scores!r}")
        self._task = task
        self._smoothing = settings.label_smoothing

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no masks.
        """
        if labels is None:
            raise RecipeError(
                "data.training: must have masks, which task 'segment' is learned from, got "
                "pictures without"
            )
        output, *_ = flatten_outputs(network(inputs)).values()
        size = (labels.shape[1], labels.shape[2])
        maps = functional.interpolate(output.float(), size, mode="bilinear", align_corners=False)
        known = labels != IGNORED
        if not known.any():
            # A batch without a pixel to learn from has no mean; it moves nothing.
            return maps.sum() * 0.0
        if self._task.scores == "sigmoid":
            truth = labels.float() * (1 - self._smoothing) + self._smoothing / 2
            losses = functional.binary_cross_entropy_with_logits(
                maps[:, 0], truth, reduction="none"
            )
            return losses[known].mean()
        if self._task.scores == "none":
            maps = _as_logarithms(maps)
        return functional.cross_entropy(
            maps, labels.long(), ignore_index=IGNORED, label_smoothing=self._smoothing
        )

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`: of every pixel, at the size of the student's output."""
        (ours, *_), (theirs, *_) = outputs, wanted
        if ours.shape[2:] != theirs.shape[2:]:
            size = (ours.shape[2], ours.shape[3])
            theirs = functional.interpolate(theirs, size, mode="bilinear", align_corners=False)
        if self._task.scores == "none":
            ours, theirs = map(_as_logarithms, (ours, theirs))
        ours, theirs = (maps.movedim(1, -1).flatten(0, -2) for maps in (ours, theirs))
        if self._task.scores == "sigmoid":
            return separate_divergence(ours, theirs, temperature)
        return class_divergence(ours, theirs, temperature)


def _as_logarithms(probabilities: torch.Tensor) -> torch.Tensor:
    """Of the probabilities of all classes; one map is that of the second of two."""
    if probabilities.shape[1] == 1:
        probabilities = torch.cat((1.0 - probabilities, probabilities), dim=1)
    return logarithm(probabilities)
