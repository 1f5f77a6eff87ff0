"""Boxes around objects, each of one class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.marks import Mark, Rectangle, color_of
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns, Values, count_of
from edgeprep.tasks.classify import check_labels
from edgeprep.tasks.suppression import suppress, suppress_softly
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Detect", "Detection", "Detections"]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# Boxes beyond these are not looked at for overlaps: as many as in the reference implementations of
# SSD and YOLO, where a thousand already hold every object of COCO many times over.
_MOST_CANDIDATES = 1000
# What average precision is measured on; fewer candidates cut its curve short. Source: figures of
# COCO count the 100 best, and the reference implementations of YOLO validate from 0.001 on.
_SCORED_LEAST, _SCORED_MOST = 0.001, 100
# A logit below those whose sigmoid is 1 in float32.
_SURE = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """What becomes of boxes that overlap a better one of their class.

    Attributes:
        kind: "hard": they go. "soft": they are worth less. "none": they stay, as where a network
            was taught to find each object once.
        iou: for "hard", the overlap from which a box goes: intersection over union.
        sigma: for "soft", how gently scores fall.
    """

    kind: Literal["hard", "soft", "none"] = "hard"
    iou: Share = 0.5
    sigma: Annotated[float, msgspec.Meta(gt=0)] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Detect(Task):
    """Networks that give candidates, each a box and a score for every class.

    Attributes:
        labels: the name of each class, in the order of the scores.
        boxes: where boxes are in the outputs.
        scores: where the scores of classes are.
        objectness: where the score of being anything at all is, which the others are multiplied
            by; None where there is none.
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
    scores: ScoreColumns = field(default_factory=lambda: ScoreColumns(output=1))
    objectness: ScoreColumns | None = None
    suppression: Suppression = field(default_factory=Suppression)
    least_score: Share = 0.25
    each: Literal["best", "all"] = "best"
    most: Annotated[int, msgspec.Meta(ge=1)] = 100

    def __post_init__(self) -> None:
        check_labels(self.labels)

    @property
    def columns(self) -> int:
        """How many scores a candidate has, with that of the background."""
        return len(self.labels) + (self.scores.background != "none")

    def for_scoring(self) -> "Detect":
        """See `Task.for_scoring`: with candidates of low scores, and as many as COCO counts."""
        least = min(self.least_score, _SCORED_LEAST)
        return replace(self, least_score=least, most=max(self.most, _SCORED_MOST))

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless boxes and scores are where they are said to be."""
        counts = {
            "boxes": count_of(outputs, self.boxes, 4, "task.boxes"),
            "scores": count_of(outputs, self.scores, self.columns, "task.scores"),
        }
        if self.objectness is not None:
            counts["objectness"] = count_of(outputs, self.objectness, 1, "task.objectness")
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise RecipeError(f"task: must have the parts of as many candidates each, got {said}")

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> "Detections":
        """The objects, in pixels of the picture that came in.

        Raises:
            ShapeError: there are not as many candidates as priors: the network sees pictures of
                another size.
        """
        if frame is None:
            raise ShapeError("frame: task 'detect' must know where the network looks, got None")
        number, classes, worth = self._found(outputs)
        if len(number) > _MOST_CANDIDATES:
            chosen = np.argsort(-worth, kind="stable")[:_MOST_CANDIDATES]
            number, classes, worth = number[chosen], classes[chosen], worth[chosen]
        values = Values(outputs, self.boxes, 4)
        self._check_priors(len(values), frame)
        corners = self.boxes.corners(values[number], number, frame.seen)
        kept, worth = self._suppress(corners, worth, classes)
        return Detections(
            labels=self.labels,
            boxes=frame.boxes(corners[kept]),
            scores=worth,
            classes=classes[kept],
        )

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the objects; those of a joined result are the best, as here."""
        return Blending(
            kind="boxes",
            same={"labels": self.labels},
            take=lambda result: (result.boxes, result.scores, result.classes),
            give=self._of_arrays,
        )

    def _of_arrays(self, arrays: tuple[NDArray[Any], ...]) -> "Detections":
        boxes, scores, classes = arrays
        order = np.argsort(-scores, kind="stable")
        kept = order[scores[order] >= self.least_score][: self.most]
        return Detections(
            labels=self.labels,
            boxes=boxes[kept],
            scores=scores[kept].astype(np.float32),
            classes=classes[kept],
        )

    def _found(
        self, outputs: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The candidates that score `least_score` or more, their classes and their scores."""
        values, foreground = Values(outputs, self.scores, self.columns), self.scores.foreground
        # Most candidates are nothing: what is plainly below is not looked at any further.
        likely = _may_reach(values.peaks(foreground), self.scores.activation, self.least_score)
        if self.objectness is not None:
            there = Values(outputs, self.objectness, 1)
            likely &= _may_reach(there.peaks(), self.objectness.activation, self.least_score)
        numbers = np.flatnonzero(likely)
        scores = _activate(values[numbers], self.scores.activation)[:, foreground]
        if self.objectness is not None:
            scores = scores * _activate(there[numbers], self.objectness.activation)
        if self.each == "all":
            rows, classes = np.nonzero(scores >= self.least_score)
        else:
            rows = np.flatnonzero(scores.max(axis=1, initial=0.0) >= self.least_score)
            classes = scores[rows].argmax(axis=1)
        return numbers[rows], classes, scores[rows, classes]

    def _check_priors(self, count: int, frame: Frame) -> None:
        if self.boxes.priors is None:
            return
        priors = len(self.boxes.priors.boxes(*frame.seen))
        if priors != count:
            rule = f"must be as many as the network's {count} candidates"
            raise ShapeError(
                f"task.boxes.priors: {rule}, got {priors} for pictures of {frame.seen}"
            )

    def _suppress(
        self, corners: NDArray[np.float32], worth: NDArray[np.float32], classes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        how = self.suppression
        if how.kind == "soft":
            return suppress_softly(
                corners, worth, classes, how.sigma, max(self.least_score, 1e-6), self.most
            )
        if how.kind == "hard":
            kept = suppress(corners, worth, classes, how.iou, self.most)
        else:
            kept = np.argsort(-worth, kind="stable")[: self.most]
        return kept, worth[kept]


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One object.

    Attributes:
        label: the name of its class.
        index: the number of its class.
        score: in 0..1.
        box: least x, least y, greatest x, greatest y in pixels of the picture that came in.
    """

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections(Sequence[Detection]):
    """The objects of one picture, the best first; an immutable value.

    Attributes:
        labels: the names of all classes.
        boxes: `(objects, 4)`, float64: least x, least y, greatest x, greatest y in pixels.
        scores: `(objects,)`, float32, in 0..1.
        classes: `(objects,)`, int64.
    """

    labels: tuple[str, ...]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __post_init__(self) -> None:
        for array in (self.boxes, self.scores, self.classes):
            array.flags.writeable = False

    @cached_property
    def objects(self) -> tuple[Detection, ...]:
        """Each object, the best first."""
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.classes.tolist(), strict=True)
        return tuple(
            Detection(label=self.labels[index], index=index, score=score, box=tuple(box))
            for box, score, index in rows
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Any:
        return self.objects[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Detections) and self.objects == other.objects

    def __hash__(self) -> int:
        return hash(self.objects)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {
            "objects": [
                {"label": one.label, "index": one.index, "score": one.score, "box": list(one.box)}
                for one in self.objects
            ]
        }

    def marks(self) -> tuple[Mark, ...]:
        """A rectangle for each object, the best one drawn last."""
        return tuple(
            Rectangle(one.box, f"{one.label} {one.score:.2f}", color_of(one.index))
            for one in reversed(self.objects)
        )

    def __str__(self) -> str:
        if not len(self):
            return "nothing"
        return ", ".join(f"{one.label} ({one.score:.2f})" for one in self.objects)

    def __repr__(self) -> str:
        return f"Detections({self})"


def _activate(values: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    if how == "sigmoid":
        # The same function as 1 / (1 + exp(-x)), without its overflow.
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
    if how == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return values


def _may_reach(peaks: NDArray[Any], how: str, least: float) -> NDArray[np.bool_]:
    """Which candidates may have a score of `least` or more, by the greatest of their values."""
    if how == "softmax" or least <= 0.0:
        return np.ones(len(peaks), np.bool_)
    if how == "sigmoid":
        # A little lower than the very logit, which rounding may miss.
        least = log(least / (1.0 - least)) - 1e-3 if least < 1.0 else _SURE
    return np.asarray(peaks >= least)
