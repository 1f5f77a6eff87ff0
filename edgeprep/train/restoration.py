"""What training makes small for pictures and maps."""

import torch
from torch.nn import functional

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective, Task
from edgeprep.recipe import TrainTable
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.restore import Restore
from edgeprep.train.outputs import flatten_outputs

__all__ = ["MapError", "PictureError"]

# Below it an error counts by its square: 1 of 255 levels. Source: Lai et al., arXiv:1710.01992,
# whose Charbonnier loss is the same idea.
_SMALL = 1.0 / 255.0


class PictureError(Objective):
    """How far pictures are from those they are to become: the mean of all channels and pixels.

    From 0, none, to 1, black for white; errors below one level count less.

    Args:
        task: says what the outputs are.
        settings: `[train]`.

    Raises:
        RecipeError: labels are to be smoothed, of which there are none.

    Source: torch.nn.functional.smooth_l1_loss.
    """

    def __init__(self, task: Restore, settings: TrainTable) -> None:
        _refuse_smoothing(task, settings)
        self._task = task

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no pictures to become, or not of the output's size.
        """
        labels = _need(labels, self._task, "pictures to become")
        wanted = labels.movedim(-1, 1).float() / 255.0
        output, *_ = flatten_outputs(network(inputs)).values()
        black, white = self._task.range
        found = (output.float() - black) / (white - black)
        _need_size(found, wanted, self._task)
        # NOTE: beyond the picture that came in, it is not known what is to become of it.
        known = wanted.isfinite()
        errors = functional.smooth_l1_loss(
            found, wanted.nan_to_num(0.0), beta=_SMALL, reduction="none"
        )
        return (errors * known).sum() / known.sum().clamp_min(1)

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`: the mean difference; pictures have no temperature.

        Raises:
            RecipeError: the two are not of one shape.
        """
        return _difference(outputs[0], wanted[0])


class MapError(Objective):
    """How far numbers of pixels are from the true ones, where these are known: their mean.

    Args:
        task: says what the outputs are.
        settings: `[train]`.

    Raises:
        RecipeError: labels are to be smoothed, of which there are none.

    Source: torch.nn.functional.l1_loss.
    """

    def __init__(self, task: Depth, settings: TrainTable) -> None:
        _refuse_smoothing(task, settings)
        self._task = task

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no maps.
        """
        labels = _need(labels, self._task, "maps")
        output, *_ = flatten_outputs(network(inputs)).values()
        maps = output.float().reshape(len(output), 1, *output.shape[-2:])
        size = (labels.shape[1], labels.shape[2])
        maps = functional.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]
        known = labels.isfinite()
        # Without a known pixel there is no mean; the loss moves nothing.
        error = (maps * self._task.scale - labels.nan_to_num(0.0)).abs() * known
        return error.sum() / known.sum().clamp_min(1)

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`: the mean difference; maps have no temperature.

        Raises:
            RecipeError: the two are not of one shape.
        """
        return _difference(outputs[0], wanted[0])


def _need(labels: torch.Tensor | None, task: Task, what: str) -> torch.Tensor:
    if labels is None:
        raise RecipeError(
            f"data.training: must have {what}, which task {task.name!r} is learned from, got "
            "pictures without"
        )
    return labels


def _need_size(found: torch.Tensor, wanted: torch.Tensor, task: Restore) -> None:
    if found.shape != wanted.shape:
        raise RecipeError(
            f"task.scale: pictures to become must be as the output, {tuple(found.shape[1:])}, "
            f"got {tuple(wanted.shape[1:])} where scale is {task.scale}"
        )


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """The mean difference from what a teacher answers."""
    if ours.shape != theirs.shape:
        rule = f"must have output 0 of shape {tuple(ours.shape)}, as the network has"
        raise RecipeError(f"distil.teacher: {rule}, got {tuple(theirs.shape)}")
    return functional.l1_loss(ours, theirs)


def _refuse_smoothing(task: Task, settings: TrainTable) -> None:
    if settings.label_smoothing:
        rule = f"must be absent for task {task.name!r}, which has no classes"
        raise RecipeError(f"train.label_smoothing: {rule}, got {settings.label_smoothing}")
