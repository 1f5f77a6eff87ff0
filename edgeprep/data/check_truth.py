"""What samples are held against, checked against the task and the picture."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.schema import show
from edgeprep.truths import IGNORED, Boxes, Classes, Map, Mask, Picture, Truth, TruthKind

__all__ = ["check_truth"]

# Boxes of published data reach so far over the border of their picture, by rounding.
_OVERHANG = 2.0


def check_truth(truth: object, task: Task, picture: NDArray[np.uint8], what: str) -> Truth:
    """`truth`, as data have it, as a value of `edgeprep.truths`.

    Args:
        truth: the number of a class; numbers of several; `Boxes`, or a mapping with `boxes`
            `(objects, 4)` and `classes`, and `crowd` and `areas` if they are known; an array
            `(H, W)` for a mask or a map; an array `(H, W, C)` for a picture.
        task: says by its `truth` which of these, and by its `labels` how many classes there are.
        picture: `(H, W, C)`, which the truth is about.
        what: names the truth in messages, such as "data.evaluation: the label of sample 3".

    Raises:
        DataError: it is something else, or does not fit the picture.
    """
    if task.truth is None:
        raise DataError(f"{what} must be absent, got one; task {task.name!r} has no labels")
    return _CHECKS[task.truth](truth, getattr(task, "labels", None), picture, what)


Labels = Sequence[str] | None


def _class(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> int:
    if isinstance(truth, bool) or not isinstance(truth, (int, np.integer)):
        raise DataError(f"{what} must be a whole number, got {show(truth)}")
    if labels is not None and not 0 <= truth < len(labels):
        raise DataError(
            f"{what} must be in 0..{len(labels) - 1}, got {show(truth)}; "
            f"the task has {len(labels)} labels"
        )
    return int(truth)


def _classes(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> Classes:
    count = len(labels or ())
    if isinstance(truth, Classes):
        if truth.present.dtype != np.bool_ or truth.present.shape != (count,):
            got = f"{truth.present.dtype} {truth.present.shape}"
            raise DataError(f"{what} must be bool ({count},), one for each label, got {got}")
        return truth
    if isinstance(truth, (str, int)) or not isinstance(
        truth, (Sequence, set, frozenset, np.ndarray)
    ):
        raise DataError(f"{what} must be several numbers of classes, got {show(truth)}")
    present = np.zeros(count, np.bool_)
    for one in truth:
        present[_class(one, labels, picture, what)] = True
    return Classes(present)


def _boxes(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> Boxes:
    boxes = truth if isinstance(truth, Boxes) else _boxes_of(truth, what)
    height, width = picture.shape[:2]
    for number, (corners, one) in enumerate(zip(boxes.corners, boxes.classes, strict=True)):
        place = f"{what}: box {number}"
        _class(int(one), labels, picture, f"{place}: its class")
        left, top, right, bottom = map(float, corners)
        shown = [round(float(corner), 2) for corner in corners]
        if not np.isfinite(corners).all():
            raise DataError(f"{place} must have finite corners, got {shown!r}")
        if right <= left or bottom <= top:
            raise DataError(f"{place} must be wider and higher than 0 pixels, got {shown!r}")
        over = max(-left, -top, right - width, bottom - height)
        rule = f"must be inside its picture of {width}×{height} pixels"
        if over > _OVERHANG:
            raise DataError(f"{place} {rule}, got {shown!r}")
        if min(right, width) <= max(left, 0.0) or min(bottom, height) <= max(top, 0.0):
            raise DataError(f"{place} {rule}, got {shown!r}, of which nothing is")
    cut = np.clip(boxes.corners, 0.0, [width, height, width, height])
    areas = np.where(boxes.areas == _areas(boxes.corners), _areas(cut), boxes.areas)
    return Boxes(cut, boxes.classes, boxes.crowd, areas)


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((corners[:, 2:] - corners[:, :2]).prod(axis=1))


def _boxes_of(truth: object, what: str) -> Boxes:
    if not isinstance(truth, Mapping) or not {"boxes", "classes"} <= truth.keys():
        raise DataError(f"{what} must have 'boxes' and 'classes', got {show(truth)}")
    classes = truth["classes"]
    try:
        with np.errstate(invalid="ignore"):
            boxes = Boxes.of(truth["boxes"], classes, truth.get("crowd"), truth.get("areas"))
    except (TypeError, ValueError) as error:
        rule = "must have four corners and one class for each box"
        raise DataError(f"{what} {rule}, got {str(error)!r}") from error
    # 1.7 has become 1, and what is no number some other.
    given = np.asarray(classes).reshape(-1)
    wrong = given[given != boxes.classes]
    if wrong.size:
        raise DataError(f"{what} must have whole numbers for classes, got {wrong[0]}")
    return boxes


def _mask(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> Mask:
    values = truth.classes if isinstance(truth, Mask) else truth
    array = _array(values, what, "a mask (height, width) of whole numbers")
    _same_size(array, picture, what, "mask")
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise DataError(
            f"{what} must be a mask (height, width) of whole numbers, got "
            f"{array.dtype} {array.shape}"
        )
    count = len(labels) if labels is not None else IGNORED
    wrong = (array < 0) | ((array >= count) & (array != IGNORED))
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        raise DataError(
            f"{what} must have classes in 0..{count - 1}, or {IGNORED} where none is asked for, "
            f"got {int(array[y, x])} in row {y}, column {x}"
        )
    return Mask(array.astype(np.uint8))


def _map(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> Map:
    values = truth.values if isinstance(truth, Map) else truth
    array = _array(values, what, "a map (height, width) of numbers")
    _same_size(array, picture, what, "map")
    if array.ndim != 2 or array.dtype.kind not in "iuf":
        raise DataError(
            f"{what} must be a map (height, width) of numbers, got {array.dtype} {array.shape}"
        )
    # What float32 has no number for is infinite afterwards.
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    if np.isinf(found).any():
        y, x = np.argwhere(np.isinf(found))[0]
        rule = "must have finite numbers, or NaN where none is known"
        raise DataError(f"{what} {rule}, got {array[y, x]:g} in row {y}, column {x}")
    return Map(found)


def _picture(truth: object, labels: Labels, picture: NDArray[np.uint8], what: str) -> Picture:
    levels = truth.levels if isinstance(truth, Picture) else truth
    array = _array(levels, what, "a picture (height, width, channels), uint8")
    if array.dtype != np.uint8 or array.ndim != 3 or array.size == 0:
        raise DataError(
            f"{what} must be a picture (height, width, channels), uint8, got "
            f"{array.dtype} {array.shape}"
        )
    scale = array.shape[0] // picture.shape[0]
    if scale < 1 or array.shape[:2] != (picture.shape[0] * scale, picture.shape[1] * scale):
        rule = "must be as large as its picture, or a whole number of times as large"
        raise DataError(f"{what} {rule}, got {array.shape[:2]} for {picture.shape[:2]}")
    return Picture(array)


def _array(values: object, what: str, wanted: str) -> NDArray[Any]:
    if not isinstance(values, np.ndarray):
        raise DataError(f"{what} must be {wanted}, got {show(type(values))}")
    return values


def _same_size(array: NDArray[Any], picture: NDArray[np.uint8], what: str, kind: str) -> None:
    if array.shape[:2] != picture.shape[:2]:
        rule = f"must be a {kind} of the size of its picture, {picture.shape[:2]}"
        raise DataError(f"{what} {rule}, got {array.shape[:2]}")


_CHECKS: Mapping[TruthKind, Callable[[object, Labels, NDArray[np.uint8], str], Truth]] = {
    "class": _class,
    "classes": _classes,
    "boxes": _boxes,
    "mask": _mask,
    "map": _map,
    "picture": _picture,
}
