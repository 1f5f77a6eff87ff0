"""Which of overlapping boxes stay: non-maximum suppression, hard and soft."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["suppress", "suppress_softly"]

Boxes = NDArray[np.floating]
Float = NDArray[np.float32]
Int = NDArray[np.int64]


def suppress(boxes: Boxes, scores: Float, groups: Int, iou: float, most: int) -> Int:
    """The numbers of the boxes that stay, the best first: greedily, each group for itself.

    Args:
        boxes: `(N, 4)`, least x, least y, greatest x, greatest y.
        scores: `(N,)`; of equal ones the first goes first.
        groups: `(N,)`, such as the classes: boxes of two groups leave each other alone.
        iou: a box goes that overlaps a better one of its group by more than this.
        most: at most so many stay.

    Source: the greedy algorithm of torchvision.ops.batched_nms.
    """
    order = np.argsort(-scores, kind="stable")
    sides, groups = _Sides(boxes[order]), groups[order]
    rivals = _rivals(groups)
    alive = np.ones(len(order), np.bool_)
    kept: list[int] = []
    best = -1
    while len(kept) < most and alive.any():
        best += 1 + int(alive[best + 1 :].argmax())
        kept.append(best)
        group = int(groups[best])
        left = rivals[group][1:]  # the first of them is the best
        over = sides.overlaps(best, left, iou)
        alive[best] = False
        alive[left[over]] = False
        rivals[group] = left[~over]
    return order[kept]


def suppress_softly(
    boxes: Boxes, scores: Float, groups: Int, sigma: float, least: float, most: int
) -> tuple[Int, Float]:
    """The boxes that stay and their new scores, the best first.

    A box that overlaps a better one of its group is worth less: its score is multiplied by
    `exp(-iou² / sigma)`.

    Args:
        boxes: as in `suppress`, like the others.
        scores: see there.
        groups: see there.
        sigma: above 0; the greater, the less is lost.
        least: above 0; a box whose score falls below this goes.
        most: at most so many stay.

    Source: Bodla et al., "Soft-NMS", 2017, equation 3 (the Gaussian penalty).
    """
    sides = _Sides(boxes)
    rivals = _rivals(groups)
    worth = scores.astype(np.float32, copy=True)
    left = worth.copy()
    kept: list[int] = []
    while len(kept) < min(most, len(worth)):
        best = int(left.argmax())
        if left[best] < least:
            break
        kept.append(best)
        left[best] = 0.0
        group = int(groups[best])
        others = rivals[group] = rivals[group][left[rivals[group]] >= least]
        left[others] *= np.exp(-(sides.shares(best, others) ** 2) / sigma)
        worth[others] = left[others]
    return np.array(kept, np.int64), worth[kept]


class _Sides:
    """The sides of boxes, each in an array of its own, and their areas."""

    def __init__(self, boxes: Boxes) -> None:
        # NOTE: float64, for in float32 far boxes lose the pixels that tell them apart.
        columns = np.ascontiguousarray(boxes.T, np.float64)
        self._x0, self._y0, self._x1, self._y1 = columns
        self._areas = (self._x1 - self._x0) * (self._y1 - self._y0)

    def overlaps(self, best: int, others: Int, iou: float) -> NDArray[np.bool_]:
        """Which of `others` overlap the box `best` by more than `iou`."""
        both = self._both(best, others)
        # Not divided: boxes without an area overlap nothing.
        return np.asarray(both > iou * (self._areas[others] + self._areas[best] - both))

    def shares(self, best: int, others: Int) -> NDArray[np.float64]:
        """How far each of `others` and the box `best` overlap: intersection over union, in 0..1."""
        both = self._both(best, others)
        union = self._areas[others] + self._areas[best] - both
        return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))

    def _both(self, best: int, others: Int) -> NDArray[np.float64]:
        wide = np.minimum(self._x1[others], self._x1[best])
        wide -= np.maximum(self._x0[others], self._x0[best])
        high = np.minimum(self._y1[others], self._y1[best])
        high -= np.maximum(self._y0[others], self._y0[best])
        return np.asarray(np.maximum(wide, 0.0) * np.maximum(high, 0.0))


def _rivals(groups: Int) -> dict[int, Int]:
    """The numbers of the boxes of each group, in their order."""
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    parts = np.split(order, ends) if len(order) else []
    return {int(groups[part[0]]): part for part in parts}
