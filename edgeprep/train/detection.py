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
from edgeprep.train.candidates import Said, apart, order_like
from edgeprep.train.imitation import class_divergence, separate_divergence
from edgeprep.train.logarithm import logarithm, logit
from edgeprep.train.outputs import flatten_outputs
from edgeprep.truths import UNTOLD

__all__ = ["DetectionLoss"]

# What overlaps and distances of boxes, as shares of the picture, weigh against scores.
# Source: Carion et al., "DETR", arXiv:2005.12872, appendix A.4, as are the weights of candidates
# that are held to no object where each object has one candidate.
_OVERLAP, _DISTANCE, _NO_OBJECT = 2.0, 5.0, 0.1
# How much more a score counts that is further from what it is to be.
# Source: Feng et al., "TOOD", arXiv:2108.07755, equation 8, after Lin et al., arXiv:1708.02002.
_FOCUS = 2
# A prior that every picture has in its corner, one pixel large, and its cell.
_ANYWHERE = (0.0, 0.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found(Said):
    """What a network says of a batch; boxes are in pixels.

    Attributes:
        centers: `(…, candidates, 2)`, where candidates look for objects.
        seen: height and width of the network's picture.
    """

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
        settings: how much of an object's label goes to all classes alike, or of each class to
            both outcomes where scores do not add up to 1.

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
        """See `Objective.imitation`: candidate by candidate, boxes by how sure the teacher is.

        Where each object is found once, candidates have no order: the student's are put into the
        teacher's, so that what is most alike is compared.
        """
        ours, theirs = (self._said(each) for each in (outputs, wanted))
        with torch.no_grad():
            scores = self._scores(theirs)
            sure = scores.amax(-1)
            total = sure.sum().clamp_min(1.0)
            if self._once:
                ours_first = order_like(theirs, scores, ours, self._scores(ours))
        if self._once:
            ours = ours.ordered(ours_first)
        loss = self._divergence(ours, theirs, temperature) / total
        return loss + (apart(ours.boxes, theirs.boxes) * sure).sum() / total

    def _said(self, outputs: tuple[torch.Tensor, ...]) -> Said:
        """`outputs`, with boxes around any place at all: how far two overlap is the same."""
        values = batch_columns(outputs, self._task.boxes, 4)
        starts = values.new_tensor([_ANYWHERE])
        return Said(
            boxes=corners_of(values, self._task.boxes, (1, 1), starts),
            logits=self._logits(outputs),
            objectness=self._objectness(outputs),
        )

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
            return logarithm(values)
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

    def _scores(self, said: Said) -> torch.Tensor:
        """The scores of classes, as `Detect` works them out: `(N, candidates, classes)`."""
        scores = said.logits.softmax(-1) if self._exclusive else said.logits.sigmoid()
        match self._task.scores.background:
            case "first":
                scores = scores[..., 1:]
            case "last":
                scores = scores[..., :-1]
        return scores if said.objectness is None else scores * said.objectness.sigmoid()[..., None]

    def _assigned(self, found: _Found, labels: torch.Tensor) -> Assigned:
        scores = self._scores(found)
        if self._once:
            return match(scores, found.boxes, labels, found.seen)
        return align(scores, found.boxes, found.centers, labels)

    @property
    def _once(self) -> bool:
        """Whether the network is to find each object once."""
        return self._task.suppression.kind == "none" and self._task.boxes.priors is None

    def _score_loss(self, found: _Found, assigned: Assigned, labels: torch.Tensor) -> torch.Tensor:
        worth, held = assigned.scores, assigned.objects >= 0
        counts = (held | ~_untold(found.centers, labels)).to(worth.dtype)
        weights, loss = counts, found.logits.new_zeros(())
        if found.objectness is not None:
            there = _focused(found.objectness, worth) * counts
            loss = there.sum() / worth.sum().clamp_min(1.0)
            # What is there is said by the objectness, what it is by the classes, of objects alone.
            weights = assigned.shares
            worth = held.to(worth.dtype)
        truth = self._truth(assigned.objects, worth, labels)
        total = (worth * weights).sum()
        if not self._exclusive:
            each = _focused(found.logits, truth).sum(-1)
        elif self._once and found.objectness is None:
            each = _cross_entropy(found.logits, truth)
            weights = torch.where(held, 1.0, _NO_OBJECT) * counts
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
        outcomes = count if self._exclusive else 2
        known = known * (1.0 - self._smoothing) + self._smoothing / outcomes
        truth, rest = known * worth[..., None], (1.0 - worth)[..., None]
        match self._task.scores.background:
            case "first":
                return torch.cat((rest, truth), -1)
            case "last":
                return torch.cat((truth, rest), -1)
        # Scores that add up to 1 without a background are even where nothing is.
        return truth + rest / count if self._exclusive else truth

    def _divergence(self, ours: Said, theirs: Said, temperature: float) -> torch.Tensor:
        """That of all scores together, in nats."""
        one, other = ours.logits.flatten(0, 1), theirs.logits.flatten(0, 1)
        if self._exclusive:
            loss = class_divergence(one, other, temperature) * len(one)
        else:
            loss = separate_divergence(one, other, temperature) * one.numel()
        if ours.objectness is not None and theirs.objectness is not None:
            there = separate_divergence(ours.objectness, theirs.objectness, temperature)
            loss = loss + there * ours.objectness.numel()
        return loss


def _box_loss(found: _Found, assigned: Assigned, labels: torch.Tensor) -> torch.Tensor:
    chosen = assigned.objects >= 0
    boxes, wanted = found.boxes[chosen], _taken(labels, assigned.objects)[chosen][:, 1:]
    sides, wanted_sides = (relative_sides(each, found.seen) for each in (boxes, wanted))
    each = _OVERLAP * (1.0 - generalized_overlaps(boxes, wanted))
    each = each + _DISTANCE * (sides - wanted_sides).abs().sum(-1)
    return (each * assigned.shares[chosen]).sum() / assigned.shares.sum().clamp_min(1.0)


def _untold(centers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether candidates look where it is not told what there is: `(N, candidates)`, bool."""
    x, y = (centers[..., axis].unsqueeze(-2) for axis in (0, 1))
    x0, y0, x1, y1 = (side[..., None] for side in labels[..., 1:].unbind(-1))
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    return (inside & (labels[..., :1] == UNTOLD)).any(1)


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
        return logit(values)
    return values


def _size_of(inputs: torch.Tensor) -> tuple[int, int]:
    """Height and width of the pictures, or of the frames of clips, in whichever order axes are."""
    first, second, third = inputs.shape[-3:]
    return (second, third) if first <= third else (first, second)
