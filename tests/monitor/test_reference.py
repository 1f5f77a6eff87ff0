"""What a bundle says of its pictures and classes."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgeprep.bundle import Spread
from edgeprep.interfaces.blending import Blending
from edgeprep.monitor.reference import FEWEST, classes_of, count_classes, make_reference
from edgeprep.tasks.classify import Classify


def greys(levels):
    return [np.full((8, 8, 3), level, np.uint8) for level in levels]


def test_spreads_are_the_quantiles_mean_and_deviation():
    reference = make_reference(greys(range(202)), "rgb", placement="host")
    assert (reference.placement, reference.pictures, reference.classes) == ("host", 202, ())
    found = reference.features["brightness"]
    # 202 levels from 0 to 201: the quantiles of a line, in shares of 255.
    expected = (2.01, 100.5, 198.99, 100.5, np.std(np.arange(202)))
    assert found == Spread(
        **dict(
            zip(
                ("low", "middle", "high", "mean", "deviation"),
                (round(float(one) / 255, 6) for one in expected),
                strict=True,
            )
        )
    )


def test_what_too_few_pictures_have_is_absent():
    pictures = greys(range(20))
    assert "sharpness" not in make_reference(pictures, "rgb", placement="graph").features
    assert make_reference(pictures[: FEWEST - 1], "rgb", placement="graph") is None
    assert make_reference(pictures[:FEWEST], "rgb", placement="graph").pictures == FEWEST


def task_of(kind, take):
    blending = Blending(kind=kind, same={}, take=take, give=lambda arrays: arrays)
    return SimpleNamespace(blending=blending)


@pytest.mark.parametrize(
    ("kind", "result", "classes"),
    [
        ("class", (np.array([0.1, 0.7, 0.2]),), [1]),
        ("classes", (np.zeros(4), np.array([True, False, True, False])), [0, 2]),
        ("boxes", (np.zeros((3, 4)), np.zeros(3), np.array([5, 0, 5])), [5, 0, 5]),
    ],
)
def test_classes_are_those_in_the_result(kind, result, classes):
    find = classes_of(task_of(kind, lambda one: one))
    assert list(find(result)) == classes


@pytest.mark.parametrize("task", [SimpleNamespace(blending=None), task_of("pixels", tuple)])
def test_tasks_without_classes_have_none(task):
    assert classes_of(task) is None
    assert count_classes(task, [1, 2]) == ()


def test_classes_of_a_classifier_are_counted_by_their_numbers():
    task = Classify(labels=("a", "b", "c", "d"))
    logits = np.array([[0, 3, 0, 0], [9, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    results = [task.decode((row[None],)) for row in logits]
    assert count_classes(task, results) == (1, 2)
    assert count_classes(task, []) == ()
