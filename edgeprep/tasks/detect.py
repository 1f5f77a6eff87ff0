"""Boxes around objects, each of one class."""

from dataclasses import dataclass, field, replace
from math import log
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Compared, Task
from edgeprep.tasks.activation import sigmoid, softmax
from edgeprep.tasks.box_head import BoxColumns, Columns, ScoreColumns
from edgeprep.tasks.box_values import Parts, Values, check_apart, check_layout, compared_parts
from edgeprep.tasks.classify import check_labels
from edgeprep.tasks.detections import Detection, Detections
from edgeprep.tasks.placed import need_frame
from edgeprep.tasks.suppression import suppress, suppress_softly
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Detect", "Detection", "Detections", "Suppression"]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# So many of each class are looked at for overlaps, more only where more may stay.
# Source: torchvision's SSD looks at 400 of each class, its RetinaNet at 1000 of each grid.
_MOST_OF_CLASS = 1000
# What average precision is measured on; fewer candidates cut its curve short. Source: figures of
# COCO count the 100 best, and the reference implementations of YOLO validate from 0.001 on.
_SCORED_LEAST, _SCORED_MOST = 0.001, 100
# Pixels: no box reaches farther, though it may be infinitely large.
_FAR = 1e9
# A logit below those whose sigmoid is 1 in float32.
_SURE = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """What becomes of boxes that overlap a better one.

    Attributes:
        kind: "hard": they go. "soft": they are worth less. "none": they stay, as where a network
            was taught to find each object once.
        iou: for "hard", the overlap from which a box goes: intersection over union.
        sigma: for "soft", how gently scores fall.
        among: whether the better one is of the same "class", or of any in "all".
    """

    kind: Literal["hard", "soft", "none"] = "hard"
    iou: Share = 0.5
    sigma: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    among: Literal["class", "all"] = "class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detect(Task):
    """Networks that give candidates, each a box and a score for every class.

    Where preprocessing makes several pictures of one, by `tile`, and the network gives the outputs
    of each, the objects are those of all of them, of which the same one is found once.

    Attributes:
        labels: the name of each class, in the order of the scores.
        boxes: where boxes are in the outputs.
        scores: where the scores of classes are.
        objectness: where the score of being anything at all is, which the others are multiplied
            by; None where there is none.
        classes: where the number of the class is, from 0 on, in networks that suppress what
            overlaps themselves; candidates have one score each then. One with any other number,
            such as fills up what was not found, is left out. None: each class has a score.
        suppression: what becomes of boxes that overlap.
        least_score: candidates below are left out of results. Data are scored with what is as low
            as 0.001, for average precision counts what a lower one would find.
        each: whether a candidate is of its "best" class, or of "all" that reach `least_score`.
        most: at most so many objects in a picture, the best ones; 100 at least where data are
            scored.
    """

    name: ClassVar[str] = "detect"
    metrics: ClassVar[tuple[str, ...]] = ("map", "ap50", "ap75")
    truth: ClassVar[TruthKind | None] = "boxes"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.detection:DetectionLoss"

    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    boxes: BoxColumns = field(default_factory=BoxColumns)
    scores: ScoreColumns = field(default_factory=ScoreColumns)
    objectness: ScoreColumns | None = None
    classes: Columns | None = None
    suppression: Suppression = field(default_factory=Suppression)
    least_score: Share = 0.25
    each: Literal["best", "all"] = "best"
    most: Annotated[int, msgspec.Meta(ge=1)] = 100

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if self.classes is not None and self.scores.background != "none":
            rule = "must be 'none' where classes say which one a candidate is of"
            raise ValueError(f"scores.background: {rule}, got {self.scores.background!r}")
        for name, (columns, count) in self.parts.items():
            if getattr(columns, "activation", "") == "softmax" and count == 1:
                rule = "must not be 'softmax' of one value, which is always 1"
                raise ValueError(f"{name}.activation: {rule}, got no background beside it")
        check_apart(self.parts)

    @property
    def parts(self) -> Parts:
        """What candidates have, by the key of the recipe: where, and how many values each."""
        parts: dict[str, tuple[Columns, int]] = {"boxes": (self.boxes, 4)}
        parts["scores"] = (self.scores, self.columns)
        if self.objectness is not None:
            parts["objectness"] = (self.objectness, self.objectness.count(1))
        if self.classes is not None:
            parts["classes"] = (self.classes, 1)
        return parts

    @property
    def columns(self) -> int:
        """How many scores a candidate has, with that of the background."""
        return self.scores.count(1 if self.classes is not None else len(self.labels))

    def for_scoring(self) -> "Detect":
        """See `Task.for_scoring`: with candidates of low scores, and as many as COCO counts."""
        least = min(self.least_score, _SCORED_LEAST)
        return replace(self, least_score=least, most=max(self.most, _SCORED_MOST))

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless boxes and scores are where they are said to be."""
        check_layout(outputs, self.parts)

    def compared(self, outputs: tuple[NDArray[Any], ...]) -> tuple[Compared, ...]:
        """See `Task.compared`: boxes, scores, objectness and numbers of classes, each by itself."""
        return compared_parts(outputs, self.parts)

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> Detections:
        """The objects, in pixels of the picture that came in, at whose border boxes are cut.

        Raises:
            ShapeError: there are not as many candidates as priors: the network sees pictures of
                another size; or not the outputs of as many pictures as preprocessing makes of one.
        """
        frame = need_frame(frame, self.name)
        pictures = len(outputs[self.boxes.outputs[0]])
        if pictures != len(frame.back):
            rule = "must be of as many pictures as preprocessing makes of one"
            raise ShapeError(f"outputs: {rule}, {len(frame.back)}, got {pictures}")
        found = self._in_frame(outputs, frame, 0)
        if pictures > 1:
            each = (self._in_frame(outputs, frame, number) for number in range(pictures))
            found = _Found(*map(np.concatenate, zip(*each, strict=True)))
        kept, worth = self._suppress(found)
        return Detections(labels=self.labels, boxes=kept.boxes, scores=worth, classes=kept.classes)

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the objects; those of a joined result are the best, as here."""
        return Blending(
            kind="boxes",
            same={"labels": self.labels},
            take=lambda result: (result.boxes, result.scores, result.classes),
            give=self._of_arrays,
            unheard=("boxes", "scores", "objectness", "classes", "suppression", "each"),
        )

    def _of_arrays(self, arrays: tuple[NDArray[Any], ...]) -> Detections:
        boxes, scores, classes = arrays
        order = np.argsort(-scores, kind="stable")
        kept = order[scores[order] >= self.least_score][: self.most]
        return Detections(
            labels=self.labels,
            boxes=boxes[kept],
            scores=scores[kept].astype(np.float32),
            classes=classes[kept],
        )

    def _in_frame(self, outputs: tuple[NDArray[Any], ...], frame: Frame, number: int) -> "_Found":
        """What is found in one of the pictures that the network sees, where it is in the frame."""
        outputs = tuple(output[number : number + 1] for output in outputs)
        numbers, classes, worth = self._best(*self._likely(outputs))
        values = Values(outputs, self.boxes, 4)
        self._check_priors(len(values), frame)
        # A wild logit is a box as large as all, not a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            corners = self.boxes.corners(values[numbers], numbers, frame.seen)
            upright = (corners[:, 2:] > corners[:, :2]).all(axis=1)
            # Source: torchvision's detectors cut boxes at the border before any suppression, too.
            boxes = frame.boxes(np.clip(corners, -_FAR, _FAR), number)
        there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return _Found(boxes, classes, worth).some(np.asarray(there & upright))

    def _likely(
        self, outputs: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The candidates that score `least_score` or more, their classes and their scores."""
        values = Values(outputs, self.scores, self.columns)
        # Most candidates are nothing: what is plainly below is not looked at any further.
        likely = _may_reach(values, self.scores, self.least_score)
        if self.objectness is not None:
            there = Values(outputs, self.objectness, self.objectness.count(1))
            likely &= _may_reach(there, self.objectness, self.least_score)
        numbers = np.flatnonzero(likely)
        scores = _scores(values[numbers], self.scores)
        if self.objectness is not None:
            scores = scores * _scores(there[numbers], self.objectness)
        if self.classes is not None:
            named = Values(outputs, self.classes, 1)[numbers][:, 0]
            known = (named >= 0) & (named < len(self.labels)) & (scores[:, 0] >= self.least_score)
            return numbers[known], named[known].astype(np.int64), scores[known, 0]
        if self.each == "all":
            rows, classes = np.nonzero(scores >= self.least_score)
        else:
            rows = np.flatnonzero(scores.max(axis=1, initial=0.0) >= self.least_score)
            classes = scores[rows].argmax(axis=1)
        return numbers[rows], classes, scores[rows, classes]

    def _best(
        self, numbers: NDArray[np.int64], classes: NDArray[np.int64], worth: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Of each class as many as are looked at for overlaps."""
        most = max(_MOST_OF_CLASS, self.most)
        if len(numbers) <= most:
            return numbers, classes, worth
        taken = np.ones(len(numbers), np.bool_)
        for name in np.flatnonzero(np.bincount(classes) > most):
            here = np.flatnonzero(classes == name)
            taken[here[np.argsort(-worth[here], kind="stable")[most:]]] = False
        return numbers[taken], classes[taken], worth[taken]

    def _check_priors(self, count: int, frame: Frame) -> None:
        if self.boxes.priors is None:
            return
        priors = len(self.boxes.starts(*frame.seen))
        if priors != count:
            rule = f"must be as many as the network's {count} candidates"
            raise ShapeError(
                f"task.boxes.priors: {rule}, got {priors} for pictures of {frame.seen}"
            )

    def _suppress(self, found: "_Found") -> tuple["_Found", NDArray[np.float32]]:
        """What stays, the best first, and its scores."""
        how, worth = self.suppression, found.worth
        groups = found.classes if how.among == "class" else np.zeros_like(found.classes)
        if how.kind == "soft":
            least = max(self.least_score, 1e-6)
            kept, worth = suppress_softly(found.boxes, worth, groups, how.sigma, least, self.most)
            return found.some(kept), worth
        if how.kind == "hard":
            kept = suppress(found.boxes, worth, groups, how.iou, self.most)
        else:
            kept = np.argsort(-worth, kind="stable")[: self.most]
        return found.some(kept), worth[kept]


class _Found(NamedTuple):
    """Candidates in the picture that came in: their corners, their classes, their scores."""

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    worth: NDArray[np.float32]

    def some(self, chosen: NDArray[Any]) -> "_Found":
        """Those that `chosen` says, by a number or a truth value each."""
        return _Found(self.boxes[chosen], self.classes[chosen], self.worth[chosen])


def _scores(values: NDArray[np.float32], columns: ScoreColumns) -> NDArray[np.float32]:
    """The scores of classes, `(candidates, classes)`, without that of the background."""
    return _activate(values, columns.activation)[:, columns.foreground]


def _activate(values: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    if how == "sigmoid":
        return sigmoid(values)
    return softmax(values, axis=1) if how == "softmax" else values


def _may_reach(values: Values, columns: ScoreColumns, least: float) -> NDArray[np.bool_]:
    """Which candidates may have a score of `least` or more, by the greatest of their values."""
    how = columns.activation
    if least <= 0.0 or (how == "softmax" and columns.background == "none"):
        return np.ones(len(values), np.bool_)
    peaks = values.peaks(columns.foreground)
    if how == "softmax":
        # What other classes take makes it less than if there were but this one and the background.
        peaks -= values.peaks(columns.behind)
    if how != "none":
        # A little lower than the very logit, which rounding may miss.
        least = log(least / (1.0 - least)) - 1e-3 if least < 1.0 else _SURE
    return np.asarray(peaks >= least)
