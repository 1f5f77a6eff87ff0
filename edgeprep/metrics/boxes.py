"""Average precision of boxes, by the reference implementation of COCO."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import coco, cocoeval  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

from edgeprep.errors import DataError
from edgeprep.metrics.class_score import BoxScore, ClassTable
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.results import Detected
from edgeprep.truths import Boxes

__all__ = ["AP50", "AP75", "MAP", "MOST_OBJECTS"]

# Of one class in one picture, the best ones: as in the figures that COCO publishes.
MOST_OBJECTS = 100
# The places of 0.5 and 0.75 among the overlaps 0.5, 0.55, … 0.95.
_AT_50, _AT_75 = slice(0, 1), slice(5, 6)
_ALL = slice(None)
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Precisions:
    """The precisions of all classes that occur among the objects.

    Attributes:
        precision: `(overlaps, recalls, classes)`: at 10 overlaps and 101 recalls.
        objects: how many objects there are of each class, crowds left out; in the same order.
        samples: how many pictures there were.
    """

    precision: NDArray[np.float64]
    objects: dict[int, int]
    samples: int


def _take(predictions: Sequence[Detected], truths: Sequence[Boxes]) -> _Precisions:
    """The precisions of `predictions`.

    Crowds count neither for nor against anybody, areas are those of the truths.

    Source: pycocotools.cocoeval.COCOeval, which the numbers are equal to
    (tests/metrics/test_boxes.py).
    """
    objects = Counter[int]()
    there: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        objects.update(truth.classes[~truth.crowd].tolist())
        there += _annotations(
            image, truth.corners, truth.classes, iscrowd=truth.crowd.astype(int), area=truth.areas
        )
        found += _annotations(
            image, prediction.boxes, prediction.classes, score=np.asarray(prediction.scores, float)
        )
    classes = sorted(objects)
    precision = np.empty((10, 101, 0))
    if classes:
        precision = _precision(
            _collection(there, len(truths)), _collection(found, len(truths)), classes
        )
    return _Precisions(
        precision=precision,
        objects={index: objects[index] for index in classes},
        samples=len(truths),
    )


def _precision(there: COCO, found: COCO, classes: list[int]) -> NDArray[np.float64]:
    evaluation = COCOeval(there, found, "bbox")
    evaluation.params.catIds = classes
    # Objects of all sizes, which are the first of its ranges.
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    evaluation.params.maxDets = [MOST_OBJECTS]
    with _quiet():
        evaluation.evaluate()
        evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[..., 0, 0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines in which the reference tells what it does, and with those of all others.

    It has no other way to be quiet, and the standard output is that of every thread.
    """
    modules = [vars(module) for module in (coco, cocoeval)]
    with _ONE_AT_A_TIME:
        for names in modules:
            names["print"] = lambda *_: None
        try:
            yield
        finally:
            for names in modules:
                del names["print"]


def _annotations(
    image: int, corners: NDArray[np.float64], classes: NDArray[np.int64], **columns: NDArray[Any]
) -> list[dict[str, Any]]:
    """Boxes as COCO writes them, without the numbers of their own."""
    sides = corners[:, 2:] - corners[:, :2]
    given = {
        "category_id": classes,
        "bbox": np.concatenate((corners[:, :2], sides), axis=1),
        "area": sides.prod(axis=1),
        "iscrowd": np.zeros(len(classes), int),
        **columns,
    }
    rows = zip(*(column.tolist() for column in given.values()), strict=True)
    return [{"image_id": image, **dict(zip(given, row, strict=True))} for row in rows]


def _collection(annotations: list[dict[str, Any]], images: int) -> COCO:
    collection = COCO()
    # NOTE: from 1 on. The reference takes a number of 0 for no match.
    numbered = [{"id": number, **one} for number, one in enumerate(annotations, 1)]
    categories = [{"id": index} for index in sorted({one["category_id"] for one in annotations})]
    collection.dataset = {
        "images": [{"id": image} for image in range(images)],
        "annotations": numbered,
        "categories": categories,
    }
    with _quiet():
        collection.createIndex()
    return collection


def _mean(name: str, overlaps: slice, taken: _Precisions) -> float:
    """The mean over the classes that have objects."""
    if not taken.objects:
        raise DataError(
            f"{name}: needs at least one object among the truths, crowds left out, "
            f"got none in {taken.samples} samples"
        )
    return float(taken.precision[overlaps].mean())


def _per_class(taken: _Precisions, classes: int) -> ClassTable:
    columns = dict(zip(taken.objects, np.moveaxis(taken.precision, -1, 0), strict=True))
    return ClassTable(
        rows=tuple(
            BoxScore(
                ap=_average(columns.get(index), _ALL),
                ap50=_average(columns.get(index), _AT_50),
                ap75=_average(columns.get(index), _AT_75),
                objects=taken.objects.get(index, 0),
            )
            for index in range(classes)
        )
    )


def _average(precision: NDArray[np.float64] | None, overlaps: slice) -> float | None:
    return None if precision is None else float(precision[overlaps].mean())


_BOXES = Measure(take=_take, per_class=_per_class)

MAP = Metric.of(_BOXES, partial(_mean, "map", _ALL), name="map")
AP50 = Metric.of(_BOXES, partial(_mean, "ap50", _AT_50), name="ap50")
AP75 = Metric.of(_BOXES, partial(_mean, "ap75", _AT_75), name="ap75")
