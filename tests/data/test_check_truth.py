"""What samples are held against, as data have it, is checked against the task and the picture."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.data.check_truth import check_truth
from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.truths import Boxes, Classes, Map, Mask, Picture

PICTURE = np.zeros((4, 6, 3), np.uint8)
WHAT = "data.evaluation: the label of sample 3"


@dataclass(frozen=True, kw_only=True)
class Any(Task):
    name: ClassVar[str] = "any"
    metrics: ClassVar[tuple[str, ...]] = ()
    labels: tuple[str, ...] = ("ant", "bee", "cow")

    def check_outputs(self, outputs):
        raise NotImplementedError

    def decode(self, outputs, frame=None):
        raise NotImplementedError


class OfOne(Any):
    truth = "class"


class OfSeveral(Any):
    truth = "classes"


class OfBoxes(Any):
    truth = "boxes"


class OfMasks(Any):
    truth = "mask"


class OfMaps(Any):
    truth = "map"


class OfPictures(Any):
    truth = "picture"


def check(truth, cls):
    return check_truth(truth, cls(), PICTURE, WHAT)


def boxes(*corners, classes=None):
    return {"boxes": list(corners), "classes": [1] * len(corners) if classes is None else classes}


def test_a_class_is_its_number():
    assert check(np.int64(2), OfOne) == 2


def test_several_classes_become_one_bool_each():
    found = check([2, 0, 2], OfSeveral)
    assert isinstance(found, Classes)
    assert found.present.tolist() == [True, False, True]
    assert check((), OfSeveral).present.tolist() == [False, False, False]


def test_boxes_come_with_classes_areas_and_crowds():
    found = check(boxes([0, 1, 2, 4], [3, 0, 6, 1], classes=[1, 0]), OfBoxes)
    assert isinstance(found, Boxes)
    assert found.corners.tolist() == [[0, 1, 2, 4], [3, 0, 6, 1]]
    assert (found.classes.tolist(), found.areas.tolist()) == ([1, 0], [6, 3])
    assert not found.crowd.any()


def test_a_picture_may_have_no_boxes():
    assert len(check(boxes(), OfBoxes)) == 0


def test_boxes_that_reach_over_the_border_by_rounding_are_cut():
    assert check(boxes([-0.5, 0, 6.5, 4]), OfBoxes).corners.tolist() == [[0, 0, 6, 4]]


def test_areas_of_boxes_that_are_cut_are_of_what_is_left():
    assert check(boxes([-0.5, 0, 6.5, 4]), OfBoxes).areas.tolist() == [24]
    given = {**boxes([-0.5, 0, 6.5, 4]), "areas": [9]}
    assert check(given, OfBoxes).areas.tolist() == [9]


def test_a_box_of_which_nothing_is_inside_is_refused():
    message = (
        rf"^{WHAT}: box 0 must be inside its picture of 6×4 pixels, got \[-1.5, 1.0, -0.5, 3.0\],"
        " of which nothing is$"
    )
    with pytest.raises(DataError, match=message):
        check(boxes([-1.5, 1, -0.5, 3]), OfBoxes)


def test_masks_may_leave_pixels_out():
    mask = np.zeros((4, 6), np.int64)
    mask[0, 0], mask[1, 2] = 2, 255
    found = check(mask, OfMasks)
    assert isinstance(found, Mask)
    assert found.classes.dtype == np.uint8
    assert (found.classes == mask).all()


def test_classes_of_boxes_may_be_whole_floats_and_maps_unknown():
    assert check(boxes([0, 0, 2, 2], classes=[2.0]), OfBoxes).classes.tolist() == [2]
    assert np.isnan(check(np.full((4, 6), np.nan), OfMaps).values).all()


def test_maps_and_pictures_are_taken():
    assert isinstance(check(np.zeros((4, 6)), OfMaps), Map)
    assert isinstance(check(np.zeros((8, 12, 3), np.uint8), OfPictures), Picture)


def mask_of(value):
    mask = np.zeros((4, 6), np.int64)
    mask[2, 3] = value
    return mask


def map_of(value):
    values = np.ones((4, 6))
    values[2, 3] = value
    return values


WRONG = {
    "several of other labels": (
        Classes(np.zeros(2, np.bool_)),
        OfSeveral,
        "must be bool (3,), one for each label, got bool (2,)",
    ),
    "box of a fraction of a class": (
        boxes([0, 0, 2, 2], [0, 0, 2, 2], classes=[1.0, 1.7]),
        OfBoxes,
        "must have whole numbers for classes, got 1.7",
    ),
    "box of a class that is no number": (
        boxes([0, 0, 2, 2], classes=np.array([np.nan])),
        OfBoxes,
        "must have whole numbers for classes, got nan",
    ),
    "infinite map": (
        map_of(float("inf")),
        OfMaps,
        "must have finite numbers, or NaN where none is known, got inf in row 2, column 3",
    ),
    "map beyond float32": (
        map_of(-1e39),
        OfMaps,
        "must have finite numbers, or NaN where none is known, got -1e+39 in row 2, column 3",
    ),
    "class name": ("ant", OfOne, "must be a whole number, got 'ant'"),
    "class too high": (3, OfOne, "must be in 0..2, got 3; the task has 3 labels"),
    "one for several": (1, OfSeveral, "must be several numbers of classes, got 1"),
    "several too high": ([0, 7], OfSeveral, "must be in 0..2, got 7; the task has 3 labels"),
    "no boxes": ([1, 2], OfBoxes, "must have 'boxes' and 'classes', got [1, 2]"),
    "three corners": (
        {"boxes": [[1, 2, 3]], "classes": [0]},
        OfBoxes,
        (
            "must have four corners and one class for each box, got "
            "'cannot reshape array of size 3 into shape (4)'"
        ),
    ),
    "more classes": (
        boxes([0, 0, 1, 1], classes=[0, 1]),
        OfBoxes,
        (
            "must have four corners and one class for each box, got "
            "'boxes: all arrays must have 1 rows, got [2, 1, 1]'"
        ),
    ),
    "flat box": (
        boxes([0, 0, 2, 2], [1, 2, 1, 3]),
        OfBoxes,
        "box 1 must be wider and higher than 0 pixels, got [1.0, 2.0, 1.0, 3.0]",
    ),
    "box outside": (
        boxes([1, 1, 9.25, 3]),
        OfBoxes,
        "box 0 must be inside its picture of 6×4 pixels, got [1.0, 1.0, 9.25, 3.0]",
    ),
    "infinite box": (
        boxes([1, 1, float("inf"), 3]),
        OfBoxes,
        "box 0 must have finite corners, got [1.0, 1.0, inf, 3.0]",
    ),
    "box of no class": (
        boxes([0, 0, 2, 2], classes=[5]),
        OfBoxes,
        "box 0: its class must be in 0..2, got 5; the task has 3 labels",
    ),
    "mask of another size": (
        np.zeros((4, 5), np.uint8),
        OfMasks,
        "must be a mask of the size of its picture, (4, 6), got (4, 5)",
    ),
    "mask of colours": (
        np.zeros((4, 6, 3), np.uint8),
        OfMasks,
        "must be a mask (height, width) of whole numbers, got uint8 (4, 6, 3)",
    ),
    "mask of floats": (
        np.zeros((4, 6)),
        OfMasks,
        "must be a mask (height, width) of whole numbers, got float64 (4, 6)",
    ),
    "mask too high": (
        mask_of(3),
        OfMasks,
        "must have classes in 0..2, or 255 where none is asked for, got 3 in row 2, column 3",
    ),
    "mask below": (
        mask_of(-1),
        OfMasks,
        "must have classes in 0..2, or 255 where none is asked for, got -1 in row 2, column 3",
    ),
    "no map": (
        None,
        OfMaps,
        "must be a map (height, width) of numbers, got <class 'NoneType'>",
    ),
    "map of another size": (
        np.zeros((3, 6)),
        OfMaps,
        "must be a map of the size of its picture, (4, 6), got (3, 6)",
    ),
    "picture of floats": (
        np.zeros((4, 6, 3)),
        OfPictures,
        "must be a picture (height, width, channels), uint8, got float64 (4, 6, 3)",
    ),
    "picture of no scale": (
        np.zeros((6, 9, 3), np.uint8),
        OfPictures,
        (
            "must be as large as its picture, or a whole number of times as large, got (6, 9) for "
            "(4, 6)"
        ),
    ),
    "no task for it": (1, Any, "must be absent, got one; task 'any' has no labels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused(case):
    truth, cls, message = WRONG[case]
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- the whole message is compared
        check(truth, cls)
    glue = ": " if message.startswith("box") else " "
    assert str(caught.value) == f"{WHAT}{glue}{message}"
