"""Boxes of several detectors as one: weighted boxes fusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.combine.combiner import Arrays, Combiner, Terms
from edgeprep.interfaces import BlendKind

__all__ = ["Boxes"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes(Combiner):
    """Boxes of one class that overlap become one, at the mean of their sides by score and weight.

    Its score is the weighted mean, over all members, of the best score that each gave to it: 0 of
    those that did not find it. It is in 0..1 where theirs are.

    Attributes:
        iou: the overlap above which a box is taken for one that was found before, by whichever
            member: intersection over union, with what was joined of those before.
        least_score: boxes of members below are not looked at.

    Source: Solovyev, Wang and Gabruseva, "Weighted boxes fusion", arXiv:1910.13302, section 3, as
    in tests/combine/test_boxes_fusion.py. Where no member finds one object twice, the score is the
    paper's; where one does, the paper counts each of its boxes like that of another member, which
    gives scores above 1. The authors' own ensemble_boxes 1.0.9, with its conf_type "avg", gives the
    same 5,120 boxes for 300 pictures, to 1e-4 pixels; and where there are no doubles, the same
    scores to 1e-7.
    """

    name: ClassVar[str] = "boxes"
    kinds: ClassVar[tuple[BlendKind, ...]] = ("boxes",)

    iou: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.55
    least_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0

    def join(self, answers: Sequence[Arrays], terms: Terms) -> Arrays:
        """See `Combiner.join`; the best first."""
        boxes = np.concatenate([arrays[0] for arrays in answers]).astype(np.float64)
        scores = np.concatenate([arrays[1] for arrays in answers]).astype(np.float64)
        classes = np.concatenate([arrays[2] for arrays in answers])
        lengths = [len(arrays[1]) for arrays in answers]
        members = np.repeat(np.arange(len(answers)), lengths)
        weights = np.repeat(terms.weights, lengths)
        seen = scores >= self.least_score
        boxes, classes, worth = boxes[seen], classes[seen], (scores * weights)[seen]
        members = members[seen]
        joined: list[Floats] = []
        joined_scores: list[Floats] = []
        joined_classes: list[NDArray[np.int64]] = []
        for number in np.unique(classes).tolist():
            mine = np.flatnonzero(classes == number)
            # Stable, so that of equal ones those of the first member come first.
            mine = mine[np.argsort(-worth[mine], kind="stable")]
            fused, at = _fuse(boxes[mine], worth[mine], self.iou)
            best = np.zeros((len(fused), len(answers)))
            np.maximum.at(best, (at, members[mine]), worth[mine])
            joined.append(fused)
            joined_scores.append(best.sum(axis=1) / terms.weights.sum())
            joined_classes.append(np.full(len(fused), number, np.int64))
        if not joined:
            return np.empty((0, 4)), np.empty(0), np.empty(0, np.int64)
        all_scores = np.concatenate(joined_scores)
        order = np.argsort(-all_scores, kind="stable")
        return (
            np.concatenate(joined)[order],
            all_scores[order],
            np.concatenate(joined_classes)[order],
        )


def _fuse(boxes: Floats, worth: Floats, iou: float) -> tuple[Floats, NDArray[np.int64]]:
    """The clusters of boxes of one class, the best of which come first.

    Returns:
        The fused boxes, `(clusters, 4)`, and which one each box is in, `(boxes,)`.
    """
    sides, sums = np.zeros((len(boxes), 4)), np.zeros(len(boxes))
    fused, places = np.zeros((len(boxes), 4)), np.zeros(len(boxes), np.int64)
    clusters = 0
    for index, (box, own) in enumerate(zip(boxes, worth.tolist(), strict=True)):
        shared = _overlaps(box, fused[:clusters])
        at = int(shared.argmax()) if clusters else 0
        if not clusters or shared[at] <= iou:
            at, clusters = clusters, clusters + 1
        places[index] = at
        sums[at] += own
        sides[at] += own * box
        # Boxes without any worth are where they are.
        fused[at] = sides[at] / sums[at] if sums[at] else box
    return fused[:clusters], places


def _overlaps(box: Floats, others: Floats) -> Floats:
    """How far `box`, `(4,)`, and each of `others`, `(N, 4)`, overlap: `(N,)`, in 0..1."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    both = np.maximum(high - low, 0.0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))
