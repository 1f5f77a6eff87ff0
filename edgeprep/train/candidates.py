"""What detectors say of a batch, and how far two of them are apart, candidate by candidate."""

from dataclasses import dataclass

import torch

from edgeprep.train.assignment import cheapest
from edgeprep.train.box_overlap import generalized_overlaps

__all__ = ["Said", "apart", "order_like"]

# As in `edgeprep.train.detection`.
_OVERLAP = 2.0
# The least length of two boxes by which a distance can be divided.
_SHORTEST = 1e-7
# So many of a teacher's candidates are compared with those that are most like them: more than a
# picture has objects, and few enough for heads of thousands of candidates.
_MOST_PAIRED = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a network says of a batch, wherever its candidates are.

    Attributes:
        boxes: `(N, candidates, 4)`, corners.
        logits: `(N, candidates, values)`, of classes, with that of the background.
        objectness: `(N, candidates)`, logits; None where there is none.
    """

    boxes: torch.Tensor
    logits: torch.Tensor
    objectness: torch.Tensor | None

    def ordered(self, order: torch.Tensor) -> "Said":
        """The same of the candidates `(N, candidates)` one after the other."""
        return Said(
            boxes=_at(self.boxes, order),
            logits=_at(self.logits, order),
            objectness=None if self.objectness is None else self.objectness.gather(1, order),
        )


def order_like(
    theirs: Said, scores: torch.Tensor, ours: Said, our_scores: torch.Tensor
) -> torch.Tensor:
    """Which candidate of a student is compared with each of a teacher: `(N, candidates)`, int64.

    The surest ones of the teacher have those that are most like them, as `match` weighs it; the
    others what is left, in its order.

    Args:
        theirs: of the teacher.
        scores: `(N, candidates, classes)`, those of the teacher.
        ours: of the student.
        our_scores: likewise.
    """
    count = scores.shape[1]
    sure, classes = scores.max(-1)
    surest = sure.topk(min(_MOST_PAIRED, count), 1).indices
    distances = apart(ours.boxes[:, None], _at(theirs.boxes, surest)[:, :, None])
    rows = classes.gather(1, surest)[..., None].expand(-1, -1, count)
    cost = (distances - our_scores.transpose(1, 2).gather(1, rows)) * sure.gather(1, surest)[
        ..., None
    ]
    chosen = cheapest(cost)
    # A stable sort puts those that are left last, in their order.
    left = torch.ones_like(sure, dtype=torch.uint8)
    theirs_first, ours_first = (
        left.scatter(1, each, 0).argsort(dim=1, stable=True) for each in (surest, chosen)
    )
    return (
        torch.empty_like(theirs_first)
        .scatter_(1, theirs_first, ours_first)
        .scatter_(1, surest, chosen)
    )


def apart(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """How far boxes are from others, whatever the size of the picture."""
    overlaps = generalized_overlaps(boxes, others)
    return _OVERLAP * (1.0 - overlaps) + _relative_distance(boxes, others)


def _relative_distance(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """How far the four sides are from one another, in lengths of both boxes together."""
    with torch.no_grad():
        sides = [(each[..., 2:] - each[..., :2]).abs() for each in (boxes, others)]
        lengths = (sides[0] + sides[1]).clamp_min(_SHORTEST).repeat_interleave(2, -1)
    apart = (boxes - others).abs()
    return (apart[..., [0, 2, 1, 3]] / lengths).sum(-1)


def _at(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """`values`, `(N, candidates, …)`, of the candidates `order`, `(N, those)`."""
    return values.gather(1, order[..., None].expand(-1, -1, values.shape[-1]))
