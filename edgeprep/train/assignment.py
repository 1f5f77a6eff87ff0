"""Which candidate of a detector is held to which object."""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from edgeprep.train.box_overlap import generalized_overlaps, pairwise_overlaps

__all__ = ["Assigned", "align", "cheapest", "match", "relative_sides"]

# Source: Feng et al., "TOOD", arXiv:2108.07755, section 3.2 and 4: the exponents of score and
# overlap, and how many candidates an object may have.
_OF_SCORE, _OF_OVERLAP, _MOST = 1.0, 6.0, 13
# NOTE: what has no overlap yet, as at the beginning, still has an order; and float32 has the
# products of these.
_LEAST_SCORE, _LEAST_OVERLAP = 1e-9, 1e-4
# Source: Carion et al., "DETR", arXiv:2005.12872, appendix A.4: what a distance, as a share of the
# picture, and an overlap cost against a score.
_DISTANCE, _OVERLAP = 5.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What every candidate is held to.

    Attributes:
        objects: `(N, candidates)`, int64: the number of the object; -1: none.
        shares: `(N, candidates)`, in 0..1: how much of its object's box it learns; 1 for the
            candidate that suits it best, 0 where there is no object.
        scores: `(N, candidates)`, in 0..1: the score it is to have.
    """

    objects: torch.Tensor
    shares: torch.Tensor
    scores: torch.Tensor


def align(
    scores: torch.Tensor, boxes: torch.Tensor, centers: torch.Tensor, objects: torch.Tensor
) -> Assigned:
    """Several candidates for each object: those that score it and overlap it best.

    Only candidates whose centre is inside an object come into question for it, or else the one
    with the nearest centre. One that suits several objects is held to the one it overlaps most; an
    object that is left with none has the nearest that is held to no other, while there is one.
    A candidate's score shall be its overlap, as far as it is the best of its object, and less than
    others.

    Args:
        scores: `(N, candidates, classes)`, in 0..1.
        boxes: `(N, candidates, 4)`, corners in pixels.
        centers: `(candidates, 2)`, or `(N, candidates, 2)`, x and y.
        objects: `(N, objects, 5)`, class and corners; class below 0: none.

    Source: Feng et al., "TOOD", arXiv:2108.07755, section 3.2; but that shares of boxes do not
    shrink with overlaps, so that boxes without any are learned, too, and that no object goes
    without a candidate for having the same as another.
    """
    count = boxes.shape[1]
    if objects.shape[1] == 0:
        return _nothing(boxes)
    there, classes, corners = objects[..., 0] >= 0, objects[..., 0].long(), objects[..., 1:]
    overlaps = pairwise_overlaps(corners, boxes)
    worth = _scores_of(scores, classes).clamp_min(_LEAST_SCORE) ** _OF_SCORE
    worth = worth * overlaps.clamp_min(_LEAST_OVERLAP) ** _OF_OVERLAP

    possible = _possible(corners, centers) & there[..., None]
    best = worth.masked_fill(~possible, -1.0).topk(min(_MOST, count), 2).indices
    chosen = torch.zeros_like(possible).scatter_(2, best, value=True) & possible
    owners = overlaps.masked_fill(~chosen, -1.0).argmax(1)
    owned = torch.zeros_like(chosen).scatter_(1, owners[:, None], value=True) & chosen
    _give_nearest(owned, there, _distances(corners, centers))

    worth, overlaps = worth * owned, overlaps * owned
    # Without a candidate there is nothing to share.
    shares = worth / worth.amax(2, keepdim=True).clamp_min(torch.finfo(worth.dtype).tiny)
    return Assigned(
        objects=owned.to(torch.uint8).argmax(1).masked_fill(~owned.any(1), -1),
        shares=shares.sum(1),
        scores=(shares * overlaps.amax(2, keepdim=True)).sum(1),
    )


def match(
    scores: torch.Tensor, boxes: torch.Tensor, objects: torch.Tensor, seen: tuple[int, int]
) -> Assigned:
    """One candidate for each object, so that all pairs together fit best.

    Args:
        scores: see `align`.
        boxes: likewise.
        objects: likewise.
        seen: height and width of the network's picture.

    Source: Carion et al., "DETR", arXiv:2005.12872, section 3.1: the Hungarian algorithm, on minus
    the score of the class, the sum of differences of relative centres and sides, and minus the
    generalized overlap.
    """
    nothing = _nothing(boxes)
    if objects.shape[1] == 0:
        return nothing
    corners = objects[..., 1:]
    apart = torch.cdist(relative_sides(corners, seen), relative_sides(boxes, seen), p=1.0)
    overlaps = generalized_overlaps(corners[:, :, None], boxes[:, None])
    cost = _DISTANCE * apart - _OVERLAP * overlaps - _scores_of(scores, objects[..., 0].long())
    # A network that went wrong is found by its loss.
    cost = cost.nan_to_num(0.0).cpu()
    for image, there in enumerate((objects[..., 0] >= 0).cpu()):
        numbers = there.nonzero()[:, 0]
        rows, columns = map(torch.from_numpy, linear_sum_assignment(cost[image, numbers].numpy()))
        nothing.objects[image, columns] = numbers[rows].to(boxes.device)
    matched = (nothing.objects >= 0).to(boxes.dtype)
    return Assigned(objects=nothing.objects, shares=matched, scores=matched)


def cheapest(cost: torch.Tensor) -> torch.Tensor:
    """A column of its own for every row, so that all together cost least: `(N, rows)`, int64.

    Args:
        cost: `(N, rows, columns)`, with no more rows than columns.
    """
    # A network that went wrong is found by its loss.
    known = cost.detach().nan_to_num(0.0).cpu().numpy()
    columns = [torch.from_numpy(linear_sum_assignment(one)[1]) for one in known]
    return torch.stack(columns).to(cost.device)


def relative_sides(corners: torch.Tensor, seen: tuple[int, int]) -> torch.Tensor:
    """Centre, width and height as shares of the picture, `(…, 4)`.

    Args:
        corners: `(…, 4)`, in pixels.
        seen: height and width of the picture.
    """
    low, high = corners[..., :2], corners[..., 2:]
    size = corners.new_tensor([seen[1], seen[0]])
    return torch.cat(((low + high) / 2 / size, (high - low) / size), -1)


def _nothing(boxes: torch.Tensor) -> Assigned:
    none = boxes.new_zeros(boxes.shape[:2])
    return Assigned(objects=torch.full_like(none, -1, dtype=torch.long), shares=none, scores=none)


def _scores_of(scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The score of each object's class: `(N, objects, candidates)`."""
    rows = classes.clamp_min(0)[..., None].expand(-1, -1, scores.shape[1])
    return scores.transpose(1, 2).gather(1, rows)


def _possible(corners: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Which candidates an object may have: `(N, objects, candidates)`, bool."""
    x, y = (centers[..., axis].unsqueeze(-2) for axis in (0, 1))
    x0, y0, x1, y1 = (side[..., None] for side in corners.unbind(-1))
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    apart = _distances(corners, centers)
    nearest = torch.zeros_like(inside).scatter_(2, apart.argmin(2, keepdim=True), value=True)
    return torch.where(inside.any(2, keepdim=True), inside, nearest)


def _distances(corners: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """How far candidates are from the middles of objects, squared: `(N, objects, candidates)`."""
    x, y = (centers[..., axis].unsqueeze(-2) for axis in (0, 1))
    x0, y0, x1, y1 = (side[..., None] for side in corners.unbind(-1))
    return (x - (x0 + x1) / 2) ** 2 + (y - (y0 + y1) / 2) ** 2


def _give_nearest(owned: torch.Tensor, there: torch.Tensor, apart: torch.Tensor) -> None:
    """Give each object without a candidate the nearest free one, one after the other."""
    for image, number in (there & ~owned.any(2)).nonzero().tolist():
        taken = owned[image].any(0)
        if not taken.all():
            nearest = apart[image, number].masked_fill(taken, torch.inf).argmin()
            owned[image, number, nearest] = True
