"""Which of overlapping boxes stay: non-maximum suppression, hard and soft."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["overlaps", "suppress", "suppress_softly"]

Float = NDArray[np.float32]
Int = NDArray[np.int64]


def suppress(boxes: Float, scores: Float, classes: Int, iou: float, most: int) -> Int:
    """The numbers of the boxes that stay, the best first: greedily, each class for itself.

    Args:
        boxes: `(N, 4)`, least x, least y, greatest x, greatest y.
        scores: `(N,)`; of equal ones the first goes first.
        classes: `(N,)`.
        iou: a box goes that overlaps a better one of its class by more than this.
        most: at most so many stay.

    Source: the greedy algorithm of torchvision.ops.batched_nms.
    """
    order = np.argsort(-scores, kind="stable")
    apart = _apart(boxes, classes)[order]
    x0, y0, x1, y1 = np.ascontiguousarray(apart.T)
    areas = (x1 - x0) * (y1 - y0)
    kept: list[int] = []
    left = np.arange(len(order))
    while left.size and len(kept) < most:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        if not left.size:
            break
        wide = np.minimum(x1[left], x1[best]) - np.maximum(x0[left], x0[best])
        high = np.minimum(y1[left], y1[best]) - np.maximum(y0[left], y0[best])
        both = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
        # Not divided: boxes without an area overlap nothing.
        left = left[both <= iou * (areas[left] + areas[best] - both)]
    return order[kept]


def suppress_softly(
    boxes: Float, scores: Float, classes: Int, sigma: float, least: float, most: int
) -> tuple[Int, Float]:
    """The boxes that stay and their new scores, the best first.

    A box that overlaps a better one of its class is worth less: its score is multiplied by
    `exp(-iou² / sigma)`.

    Args:
        boxes: as in `suppress`, like the others.
        scores: see there.
        classes: see there.
        sigma: above 0; the greater, the less is lost.
        least: a box whose score falls below this goes.
        most: at most so many stay.

    Source: Bodla et al., "Soft-NMS", 2017, equation 3 (the Gaussian penalty).
    """
    apart = _apart(boxes, classes)
    worth = scores.astype(np.float32, copy=True)
    left = np.arange(len(scores))
    kept: list[int] = []
    while left.size and len(kept) < most:
        at = int(worth[left].argmax())
        best = int(left[at])
        if worth[best] < least:
            break
        kept.append(best)
        left = np.delete(left, at)
        shared = overlaps(apart[best : best + 1], apart[left])[0]
        worth[left] *= np.exp(-(shared**2) / sigma)
    return np.array(kept, np.int64), worth[kept]


def overlaps(boxes: Float, others: Float) -> Float:
    """How far each box and each other overlap: intersection over union, `(N, M)`, in 0..1.

    Args:
        boxes: `(N, 4)`, least x, least y, greatest x, greatest y.
        others: `(M, 4)`.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.maximum(high - low, 0).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))


def _apart(boxes: Float, classes: Int) -> Float:
    """The boxes so far apart that those of two classes never meet."""
    if not len(boxes):
        return boxes
    # NOTE: float64, for in float32 far boxes lose the pixels that tell them apart.
    spread = float(boxes.max()) - float(boxes.min()) + 1.0
    return np.asarray(boxes + (classes * spread)[:, None].astype(np.float64))
