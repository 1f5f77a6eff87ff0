"""What detectors are compared by: values of one meaning, wherever they lie."""

import numpy as np
import pytest

from edgeprep.interfaces import Compared
from edgeprep.tasks.box_head import BoxColumns, Columns, ScoreColumns
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.detect import Detect

TWO = ("a", "b")


def listed(compared: tuple[Compared, ...]) -> dict[tuple[int, str], list[float]]:
    """The values, in the order of their memory, by output and name."""
    return {(one.output, one.name): one.values.ravel().tolist() for one in compared}


def test_most_tasks_compare_each_output_whole() -> None:
    outputs = (np.ones((1, 2)), np.zeros((1, 3)))
    (first, second) = Classify(labels=TWO).compared(outputs)
    assert (first.values is outputs[0], second.values is outputs[1]) == (True, True)
    assert (first.name, first.least, second.output) == ("", 0.0, 1)


def test_parts_of_one_output_are_told_apart_on_either_axis() -> None:
    # Two candidates: four of the box, the objectness, two scores.
    values = np.arange(14.0).reshape(1, 2, 7)
    boxes, scores, there = [[0, 1, 2, 3], [7, 8, 9, 10]], [[5, 6], [12, 13]], [4, 11]
    for axis, array in (("last", values), ("second", values.transpose(0, 2, 1))):
        task = Detect(
            labels=TWO,
            boxes=BoxColumns(axis=axis),
            scores=ScoreColumns(output=0, first=5, axis=axis, activation="none"),
            objectness=ScoreColumns(output=0, first=4, axis=axis),
        )
        found = {one.name: one for one in task.compared((array,))}
        assert list(found) == ["boxes", "scores", "objectness"]
        for name, wanted in (("boxes", boxes), ("scores", scores), ("objectness", there)):
            assert sorted(found[name].values.ravel()) == sorted(np.ravel(wanted))
        assert [one.least for one in found.values()] == [0.0, 0.25, 0.0]


def test_anchors_in_maps_of_several_pictures_are_all_compared() -> None:
    # Two pictures, two anchors of six values, a cell.
    maps = np.arange(24.0).reshape(2, 12, 1, 1)
    task = Detect(
        labels=TWO,
        boxes=BoxColumns(axis="second", anchors=2),
        scores=ScoreColumns(output=0, first=4, axis="second", anchors=2),
    )
    assert listed(task.compared((maps,))) == {
        (0, "boxes"): [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21],
        (0, "scores"): [4, 5, 10, 11, 16, 17, 22, 23],
    }


def test_what_nothing_is_said_of_is_compared_in_its_whole_output() -> None:
    joined, state = np.arange(7.0).reshape(1, 1, 7), np.array([[9.0]])
    task = Detect(labels=TWO, scores=ScoreColumns(output=0, first=4))
    assert listed(task.compared((joined, state))) == {
        (0, "boxes"): [0, 1, 2, 3],
        (0, "scores"): [4, 5],
        (0, ""): [0, 1, 2, 3, 4, 5, 6],
        (1, ""): [9],
    }


@pytest.mark.parametrize(
    ("named", "whole"),
    [([0.0, 1.0, -1.0], [0, 1, -1]), ([0.0, 1e30, -7.0], [0, 2**31, -1])],
    ids=["usual", "wild"],
)
def test_numbers_of_classes_are_told_apart_and_not_measured(
    named: list[float], whole: list[int]
) -> None:
    task = Detect(
        labels=TWO,
        scores=ScoreColumns(output=1, activation="none"),
        classes=Columns(output=2),
    )
    outputs = (np.ones((1, 3, 4)), np.ones((1, 3)), np.array([named], np.float32))
    boxes, scores, classes = task.compared(outputs)
    # Outputs of one meaning need no names.
    assert (boxes.name, scores.name, classes.name) == ("", "", "")
    assert (scores.least, classes.values.dtype) == (0.0, np.int64)
    assert classes.values.ravel().tolist() == whole
