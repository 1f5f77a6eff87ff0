"""Overlapping boxes, against the definitions worked out one pair at a time."""

import math

import numpy as np
import pytest

from edgeprep.tasks.suppression import suppress, suppress_softly


def iou(one, other):
    """Of two boxes, as in every textbook."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both) if both else 0.0


def slowly(boxes, scores, classes, limit):
    """Greedy suppression, pair by pair."""
    kept = []
    for index in sorted(range(len(boxes)), key=lambda each: (-scores[each], each)):
        rivals = [one for one in kept if classes[one] == classes[index]]
        if all(iou(boxes[index], boxes[one]) <= limit for one in rivals):
            kept.append(index)
    return kept


def crowd(count, seed):
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 60, (count, 2))
    side = generator.uniform(5, 40, (count, 2))
    boxes = np.concatenate((corner, corner + side), axis=1).astype(np.float32)
    scores = generator.integers(1, 20, count).astype(np.float32) / 20  # with equal ones
    return boxes, scores, generator.integers(0, 3, count)


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_boxes_stay_as_pair_by_pair(seed, limit):
    boxes, scores, classes = crowd(60, seed)
    expected = slowly(boxes.tolist(), scores.tolist(), classes.tolist(), limit)
    assert suppress(boxes, scores, classes, limit, 100).tolist() == expected
    assert suppress(boxes, scores, classes, limit, 5).tolist() == expected[:5]


def test_boxes_of_two_classes_do_not_meet():
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 10]])
    assert suppress(boxes, np.float32([0.5, 0.6]), np.array([0, 1]), 0.1, 9).tolist() == [1, 0]


def test_boxes_of_two_classes_far_away_do_not_meet():
    boxes = np.float32([[-1e5, 0, -1e5 + 10, 10], [1e5, 0, 1e5 + 10, 10]])
    assert suppress(boxes, np.float32([0.5, 0.6]), np.array([0, 79]), 0.1, 9).tolist() == [1, 0]


def test_a_box_without_an_area_overlaps_nothing():
    boxes = np.float32([[2, 2, 2, 8], [2, 2, 2, 8], [0, 0, 9, 9]])
    kept = suppress(boxes, np.float32([0.9, 0.8, 0.7]), np.zeros(3, int), 0.5, 9)
    assert kept.tolist() == [0, 1, 2]


def test_of_nothing_nothing_stays():
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
    assert suppress(*none, 0.5, 9).tolist() == []
    assert suppress_softly(*none, 0.5, 0.1, 9)[0].tolist() == []


def test_softly_a_box_is_worth_less_the_more_it_overlaps():
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]])
    kept, worth = suppress_softly(boxes, np.float32([0.9, 0.8, 0.3]), np.zeros(3, int), 0.5, 0.1, 9)
    assert kept.tolist() == [0, 1, 2]
    # The second covers half of the first.
    assert worth.tolist() == pytest.approx([0.9, 0.8 * math.exp(-(0.5**2) / 0.5), 0.3], abs=1e-6)


def test_softly_order_goes_by_the_new_scores():
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    scores = np.float32([0.9, 0.8, 0.3])
    kept, _ = suppress_softly(boxes, scores, np.zeros(3, int), 0.5, 0.1, 9)
    assert kept.tolist() == [0, 2, 1]
    assert suppress_softly(boxes, scores, np.zeros(3, int), 0.5, 0.2, 9)[0].tolist() == [0, 2]
    assert suppress_softly(boxes, scores, np.zeros(3, int), 0.5, 0.1, 1)[0].tolist() == [0]
    assert suppress_softly(boxes, scores, np.array([0, 1, 0]), 0.5, 0.1, 9)[0].tolist() == [0, 1, 2]
    assert scores.tolist() == np.float32([0.9, 0.8, 0.3]).tolist()


def softly(boxes, scores, classes, sigma, least):
    """Soft suppression as the paper has it, pair by pair."""
    worth, left, kept = list(scores), list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda each: (worth[each], -each))
        if worth[best] < least:
            break
        kept.append(best)
        left.remove(best)
        for each in left:
            if classes[each] == classes[best]:
                worth[each] *= math.exp(-(iou(boxes[each], boxes[best]) ** 2) / sigma)
    return kept, [worth[each] for each in kept]


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_softly_the_same_boxes_stay_as_pair_by_pair(seed, sigma):
    boxes, _, classes = crowd(60, seed)
    scores = np.random.default_rng(seed).uniform(0.1, 1.0, 60).astype(np.float32)
    expected, values = softly(boxes.tolist(), scores.tolist(), classes.tolist(), sigma, 0.05)
    kept, worth = suppress_softly(boxes, scores, classes, sigma, 0.05, 100)
    assert kept.tolist() == expected
    assert worth.tolist() == pytest.approx(values, abs=1e-6)
    assert suppress_softly(boxes, scores, classes, sigma, 0.05, 7)[0].tolist() == expected[:7]


def test_a_box_beyond_all_leaves_the_others_as_they_are():
    # Areas of float64 and distances between boxes vanish beside such a box.
    boxes = np.float32([[0, 0, 1e20, 1e20], [0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 9, 10]])
    scores, classes = np.float32([0.3, 0.9, 0.8, 0.7]), np.array([0, 1, 1, 1])
    assert suppress(boxes, scores, classes, 0.5, 9).tolist() == [1, 0]
    assert suppress_softly(boxes, scores, classes, 0.1, 0.1, 9)[0].tolist() == [1, 0]
