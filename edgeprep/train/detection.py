"""What training makes small for detection."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.tasks.box_head import ScoreColumns
from edgeprep.tasks.detect import Detect
from edgeprep.train.assignment import Assigned, align, match, relative_sides
from edgeprep.train.box_outputs import batch_columns, corners_of
from edgeprep.train.box_overlap import generalized_overlaps
from edgeprep.train.imitation import class_divergence, separate_divergence
from edgeprep.train.outputs import flatten_outputs

__all__ = ["DetectionLoss"]

# What overlaps and distances of boxes, as shares of the picture, weigh against scores.
# Source: Carion et al., "DETR", arXiv:2005.12872, appendix A.4, as are the weights of candidates
# that are held to no object where each object has one candidate.
_OVERLAP, _DISTANCE, _NO_OBJECT = 2.0, 5.0, 0.1
# How much more a score counts that is further from what it is to be.
# Source: Feng et al., "TOOD", arXiv:2108.07755, equation 8, after Lin et al., arXiv:1708.02002.
_FOCUS = 2
# The least probability of which there is a logarithm to learn from.
_LEAST = 1e-7
# A prior that every picture has in its corner, one pixel large, and its cell.
_ANYWHERE = (0.0, 0.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a network says of a batch.

    Attributes:
        boxes: `(N, candidates, 4)`, corners in pixels.
        logits: `(N, candidates, values)`, of classes, with that of the background.
        objectness: `(N, candidates)`, logits; None where there is none.
        centers: `(…, candidates, 2)`, where candidates look for objects.
        seen: height and width of the network's picture.
    """

    boxes: torch.Tensor
    logits: torch.Tensor
    objectness: torch.Tensor | None
    centers: torch.Tensor
    seen: tuple[int, int]


class DetectionLoss(Objective):
    """How far the candidates of a detector are from the objects that they are held to.

    Where what overlaps is suppressed, an object has several candidates, see `align`; where nothing
    is, it has one, see `match`. Scores are held to what they are to be by their cross-entropy, most
    where they are furthest from it, boxes by generalized overlap and by their distance; either is
    divided by what there is to learn.

    Args:
        task: says where boxes and scores are and what they mean.
        settings: how much of an object's label goes to all classes alike.

    Raises:
        RecipeError: the network names classes, and suppresses what overlaps itself.
    """

    def __init__(self, task: Detect, settings: TrainTable) -> None:
        if task.classes is not None:
            raise RecipeError(
                "task.classes: must be absent where a network is trained, as the number of a class "
                f"has no gradient, got output {task.classes.output}; "
                "train it with the scores of all classes, before anything is suppressed"
            )
        self._task = task
        self._smoothing = settings.label_smoothing

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`.

        Raises:
            RecipeError: there are no boxes, or not as many candidates as priors.
        """
        if labels is None:
            raise RecipeError(
                "data.training: must have boxes, which task 'detect' is learned from, got "
                "pictures without"
            )
        outputs = tuple(flatten_outputs(network(inputs)).values())
        found = self._found(outputs, _size_of(inputs))
        with torch.no_grad():
            assigned = self._assigned(found, labels)
        return self._score_loss(found, assigned, labels) + _box_loss(found, assigned, labels)

    def imitation(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """See `Objective.imitation`: candidate by candidate, boxes by how sure the teacher is."""
        with torch.no_grad():
            sure = self._sure(wanted)
        total = sure.sum().clamp_min(1.0)
        loss = self._divergence(outputs, wanted, temperature) / total
        ours, theirs = (self._boxes_anywhere(each) for each in (outputs, wanted))
        apart = _OVERLAP * (1.0 - generalized_overlaps(ours, theirs)) + _relative_distance(
            ours, theirs
        )
        return loss + (apart * sure).sum() / total

    def _found(self, outputs: tuple[torch.Tensor, ...], seen: tuple[int, int]) -> _Found:
        values, starts = batch_columns(outputs, self._task.boxes, 4), None
        if (priors := self._task.boxes.priors) is not None:
            starts = torch.tensor(priors.starts(*seen), device=values.device)
            if len(starts) != values.shape[1]:
                rule = f"must be as many as the network's {values.shape[1]} candidates"
                raise RecipeError(
                    f"task.boxes.priors: {rule}, got {len(starts)} for pictures of {seen}"
                )
        boxes = corners_of(values, self._task.boxes, seen, starts)
        # NOTE: a network that works out its boxes by itself does so around its cells, too.
        centers = (boxes[..., :2] + boxes[..., 2:]) / 2 if starts is None else starts[:, :2]
        return _Found(
            boxes=boxes,
            logits=self._logits(outputs),
            objectness=self._objectness(outputs),
            centers=centers.detach(),
            seen=seen,
        )

    def _logits(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        columns = self._task.scores
        values = batch_columns(outputs, columns, self._task.columns)
        if columns.activation == "none" and columns.background != "none":
            # The logarithm of probabilities that add up to 1 is as good as any logits.
            return values.clamp_min(_LEAST).log()
        return _as_logits(values, columns)

    def _objectness(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
        columns = self._task.objectness
        if columns is None:
            return None
        values = batch_columns(outputs, columns, columns.count(1))
        there = values[..., columns.foreground][..., 0]
        if columns.activation == "softmax":
            # That of two values is the sigmoid of their difference.
            return there - values[..., columns.behind][..., 0]
        return _as_logits(there, columns)

    @property
    def _exclusive(self) -> bool:
        """Whether the scores of a candidate add up to 1."""
        columns = self._task.scores
        probabilities = columns.activation == "none" and columns.background != "none"
        return columns.activation == "softmax" or probabilities

    def _scores(self, logits: torch.Tensor, objectness: torch.Tensor | None) -> torch.Tensor:
        """The scores of classes, as `Detect` works them out: `(N, candidates, classes)`."""
        scores = logits.softmax(-1) if self._exclusive else logits.sigmoid()
        match self._task.scores.background:
            case "first":
                scores = scores[..., 1:]
            case "last":
                scores = scores[..., :-1]
        return scores if objectness is None else scores * objectness.sigmoid()[..., None]

    def _assigned(self, found: _Found, labels: torch.Tensor) -> Assigned:
        scores = self._scores(found.logits, found.objectness)
        if self._once:
            return match(scores, found.boxes, labels, found.seen)
        return align(scores, found.boxes, found.centers, labels)

    @property
    def _once(self) -> bool:
        """Whether the network is to find each object once."""
        return self._task.suppression.kind == "none" and self._task.boxes.priors is None

    def _score_loss(self, found: _Found, assigned: Assigned, labels: torch.Tensor) -> torch.Tensor:
        worth, weights = assigned.scores, torch.ones_like(assigned.scores)
        loss = found.logits.new_zeros(())
        if found.objectness is not None:
            loss = _focused(found.objectness, worth).sum() / worth.sum().clamp_min(1.0)
            # What is there is said by the objectness, what it is by the classes, of objects alone.
            weights = assigned.shares
            worth = (assigned.objects >= 0).to(worth.dtype)
        truth = self._truth(assigned.objects, worth, labels)
        total = (worth * weights).sum()
        if not self._exclusive:
            each = _focused(found.logits, truth).sum(-1)
        elif self._once and found.objectness is None:
            each = _cross_entropy(found.logits, truth)
            weights = torch.where(assigned.objects >= 0, 1.0, _NO_OBJECT)
            total = weights.sum()
        else:
            furthest = (truth - found.logits.softmax(-1)).abs().amax(-1)
            each = _cross_entropy(found.logits, truth) * furthest**_FOCUS
        return loss + (each * weights).sum() / total.clamp_min(1.0)

    def _truth(
        self, objects: torch.Tensor, worth: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """What the values of candidates are held to: `(N, candidates, values)`."""
        classes, count = _taken(labels, objects)[..., 0].long(), len(self._task.labels)
        known = functional.one_hot(classes.clamp_min(0), count).to(worth.dtype)
        known = known * (1.0 - self._smoothing) + self._smoothing / count
        truth, rest = known * worth[..., None], (1.0 - worth)[..., None]
        match self._task.scores.background:
            case "first":
                return torch.cat((rest, truth), -1)
            case "last":
                return torch.cat((truth, rest), -1)
        # Scores that add up to 1 without a background are even where nothing is.
        return truth + rest / count if self._exclusive else truth

    def _sure(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The best score of every candidate: `(N, candidates)`."""
        return self._scores(self._logits(outputs), self._objectness(outputs)).amax(-1)

    def _divergence(
        self,
        outputs: tuple[torch.Tensor, ...],
        wanted: tuple[torch.Tensor, ...],
        temperature: float,
    ) -> torch.Tensor:
        """That of all scores together, in nats."""
        ours, theirs = (self._logits(each).flatten(0, 1) for each in (outputs, wanted))
        if self._exclusive:
            loss = class_divergence(ours, theirs, temperature) * len(ours)
        else:
            loss = separate_divergence(ours, theirs, temperature) * ours.numel()
        one, other = self._objectness(outputs), self._objectness(wanted)
        if one is not None and other is not None:
            loss = loss + separate_divergence(one, other, temperature) * one.numel()
        return loss

    def _boxes_anywhere(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The boxes of candidates around any place at all: how far two overlap is the same."""
        values = batch_columns(outputs, self._task.boxes, 4)
        starts = values.new_tensor([_ANYWHERE])
        return corners_of(values, self._task.boxes, (1, 1), starts)


def _box_loss(found: _Found, assigned: Assigned, labels: torch.Tensor) -> torch.Tensor:
    chosen = assigned.objects >= 0
    boxes, wanted = found.boxes[chosen], _taken(labels, assigned.objects)[chosen][:, 1:]
    sides, wanted_sides = (relative_sides(each, found.seen) for each in (boxes, wanted))
    each = _OVERLAP * (1.0 - generalized_overlaps(boxes, wanted))
    each = each + _DISTANCE * (sides - wanted_sides).abs().sum(-1)
    return (each * assigned.shares[chosen]).sum() / assigned.shares.sum().clamp_min(1.0)


def _relative_distance(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """How far the four sides are from one another, in lengths of both boxes together."""
    with torch.no_grad():
        sides = [(each[..., 2:] - each[..., :2]).abs() for each in (boxes, others)]
        lengths = (sides[0] + sides[1]).clamp_min(_LEAST).repeat_interleave(2, -1)
    apart = (boxes - others).abs()
    return (apart[..., [0, 2, 1, 3]] / lengths).sum(-1)


def _taken(labels: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
    """The object of every candidate, `(N, candidates, 5)`; any where there is none."""
    if labels.shape[1] == 0:
        return labels.new_zeros((*objects.shape, 5))
    return labels.gather(1, objects.clamp_min(0)[..., None].expand(-1, -1, 5))


def _focused(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return each * (truth - logits.sigmoid()).abs() ** _FOCUS


def _cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return -(truth * logits.log_softmax(-1)).sum(-1)


def _as_logits(values: torch.Tensor, columns: ScoreColumns) -> torch.Tensor:
    if columns.activation == "none":
        return values.clamp(_LEAST, 1.0 - _LEAST).logit()
    return values


def _size_of(inputs: torch.Tensor) -> tuple[int, int]:
    """Height and width of the pictures, in whichever order their axes are."""
    _, first, second, third = inputs.shape
    return (second, third) if first <= third else (first, second)
