"""What answering without a look scores."""

import math
from itertools import combinations

import numpy as np
import pytest

from edgeprep.metrics import metric_for
from edgeprep.metrics.chance import compare_with_chance, has_chance
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.embed import Embed
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.tasks.tensors import Tensors
from edgeprep.truths import Boxes, Classes, Mask

TASK = Classify(labels=("cat", "dog", "owl"))
# Two of five.
LABELS = (0, 1, 1, 2, 0)


@pytest.mark.parametrize(
    ("metric", "labels", "score", "words"),
    [
        (
            "accuracy",
            LABELS,
            0.4,
            "accuracy 0.4000, no better than always answering 'cat', which scores 0.4000",
        ),
        ("accuracy", LABELS, 0.6, ""),
        (
            "accuracy",
            (1, 1, 1, 2),
            0.5,
            "accuracy 0.5000, no better than always answering 'dog', which scores 0.7500",
        ),
        # Of "cat" 2 · 0.4 · 1 / 1.4, of the others nothing.
        (
            "f1-macro",
            LABELS,
            0.19,
            "f1-macro 0.1900, no better than always answering 'cat', which scores 0.1905",
        ),
        ("f1-macro", LABELS, 0.2, ""),
        (
            "roc-auc",
            LABELS,
            0.5,
            "roc-auc 0.5000, no better than always answering 'cat', which scores 0.5000",
        ),
        # One class has nothing that it could be taken for.
        ("accuracy", (1, 1), 1.0, ""),
        ("accuracy", (), 0.0, ""),
        # The lower the better: what is always unsure is calibrated, whatever it knows.
        ("calibration-error", LABELS, 0.9, ""),
    ],
)
def test_a_score_is_held_against_the_commonest_class(metric, labels, score, words):
    assert compare_with_chance(TASK, metric_for(TASK, metric), labels, score) == words


def test_nothing_is_said_of_what_has_no_blind_answer():
    accuracy = metric_for(TASK, "accuracy")
    assert compare_with_chance(Tensors(), accuracy, LABELS, 0.0) == ""
    # What pictures score as they come is no matter of labels, and distances have units.
    assert not any(map(has_chance, (Tensors(), Restore(), Depth())))


# Of five samples, "ant" is in three, "bee" in one and "cow" in one; two show an ant alone.
PRESENT = tuple(
    Classes(np.array(row, bool)) for row in ([1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0])
)


@pytest.mark.parametrize(
    ("metric", "chance", "answer"),
    [
        # The same scores for all are as precise as the class is common: 3/5, 1/5, 1/5.
        ("average-precision", 1 / 3, "'ant'"),
        ("subset-accuracy", 2 / 5, "'ant'"),
        # Of everything: of "ant" 2 · 0.6 / 1.6, of the others 2 · 0.2 / 1.2.
        ("label-f1-macro", (0.75 + 1 / 3 + 1 / 3) / 3, "'ant', 'bee', 'cow'"),
        # Of "ant" alone: 3 of 5 are right, and 3 of 5 are found.
        ("label-f1-micro", 3 / 5, "'ant'"),
    ],
)
def test_several_classes_are_held_against_the_commonest_set_and_all(metric, chance, answer):
    task = MultiLabel(labels=("ant", "bee", "cow"))
    words = f"no better than always answering {answer}, which scores {chance:.4f}"
    for score, said in ((chance - 1e-9, f"{metric} {chance:.4f}, {words}"), (chance + 1e-9, "")):
        assert compare_with_chance(task, metric_for(task, metric), PRESENT, score) == said


def test_an_empty_set_may_be_the_commonest():
    task = MultiLabel(labels=("ant", "bee"))
    truths = [Classes(np.array(row, bool)) for row in ([0, 0], [0, 0], [1, 0])]
    assert compare_with_chance(task, metric_for(task, "subset-accuracy"), truths, 0.5) == (
        "subset-accuracy 0.5000, no better than always answering no class, which scores 0.6667"
    )


@pytest.mark.parametrize("truths", [[[0, 0], [0, 0]], [[1, 0], [1, 0]]], ids=["none", "the same"])
def test_sets_that_are_all_the_same_say_nothing(truths):
    task = MultiLabel(labels=("ant", "bee"))
    truths = [Classes(np.array(row, bool)) for row in truths]
    assert compare_with_chance(task, metric_for(task, "subset-accuracy"), truths, 1.0) == ""


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_are_held_against_others_by_lot(k):
    labels = (0, 0, 0, 1, 1, 2, 2, 3)
    task = Embed()
    metric = metric_for(task, f"recall-at-{k}")
    found = []
    # Every draw of k of the seven others, for each of the seven that are not alone.
    for index, label in enumerate(labels[:7]):
        others = [other for at, other in enumerate(labels) if at != index]
        draws = list(combinations(others, k))
        found.append(sum(label in draw for draw in draws) / len(draws))
    chance = math.fsum(found) / 7
    words = f"no better than neighbours that are drawn by lot, which scores {chance:.4f}"
    said = compare_with_chance(task, metric, labels, chance - 1e-9)
    assert said == f"recall-at-{k} {chance:.4f}, {words}"
    assert compare_with_chance(task, metric, labels, chance + 1e-9) == ""


def test_samples_that_are_each_alone_have_no_neighbours_by_lot():
    task = Embed()
    assert compare_with_chance(task, metric_for(task, "recall-at-1"), (0, 1, 2), 0.0) == ""


@pytest.mark.parametrize(
    ("metric", "chance"),
    # 6 of 10 known pixels are "road", so that its IoU is 0.6 and its dice 1.2 / 1.6.
    [("mean-iou", 0.6 / 2), ("pixel-accuracy", 0.6), ("dice", 0.75 / 2)],
)
def test_masks_are_held_against_the_commonest_class_of_pixels(metric, chance):
    task = Segment(labels=("sky", "road", "car"))
    masks = [
        Mask(np.array([[0, 0, 1], [1, 1, 255]], np.uint8)),
        Mask(np.array([[0], [0], [1], [1], [1], [255]], np.uint8)),
    ]
    words = f"no better than taking every pixel for 'road', which scores {chance:.4f}"
    said = compare_with_chance(task, metric_for(task, metric), masks, chance - 1e-9)
    assert said == f"{metric} {chance:.4f}, {words}"
    assert compare_with_chance(task, metric_for(task, metric), masks, chance + 1e-9) == ""


@pytest.mark.parametrize("value", [255, 1])
def test_masks_of_one_class_or_none_say_nothing(value):
    task = Segment(labels=("sky", "road"))
    masks = [Mask(np.full((2, 2), value, np.uint8))]
    assert compare_with_chance(task, metric_for(task, "mean-iou"), masks, 0.0) == ""


def test_boxes_are_held_against_finding_nothing():
    task = Detect(labels=("ant",))
    truths = [Boxes.of([[0, 0, 1, 1]], [0])]
    assert compare_with_chance(task, metric_for(task, "map"), truths, 0.0) == (
        "map 0.0000, no better than finding nothing, which scores 0.0000"
    )
    assert compare_with_chance(task, metric_for(task, "map"), truths, 0.001) == ""
