"""Weighted boxes fusion: by hand, and by a slow implementation of the paper's words."""

import numpy as np
import pytest

from edgeprep.combine import Terms
from edgeprep.combine.boxes import Boxes


def found(*objects):
    """The arrays of one member: each object is a box, a score and a class."""
    boxes = np.array([box for box, _, _ in objects], np.float64).reshape(-1, 4)
    scores = np.array([score for _, score, _ in objects], np.float32)
    return boxes, scores, np.array([number for _, _, number in objects], np.int64)


def join(*members, weights=None, **options):
    weights = np.array(weights or [1.0] * len(members), np.float64)
    return Boxes(**options).join(members, Terms(kind="boxes", weights=weights))


def test_a_box_that_all_found_is_at_the_mean_by_their_scores():
    one = found(([0, 0, 10, 10], 0.75, 0))
    other = found(([0, 0, 10, 14], 0.25, 0))
    boxes, scores, classes = join(one, other)
    # y1 = (10 · 0.75 + 14 · 0.25) / (0.75 + 0.25)
    np.testing.assert_allclose(boxes, [[0, 0, 10, 11]])
    np.testing.assert_allclose(scores, [0.5])
    assert classes.tolist() == [0]


def test_a_box_that_one_of_two_found_has_half_its_score():
    boxes, scores, _ = join(found(([0, 0, 10, 10], 0.8, 0)), found())
    np.testing.assert_allclose(boxes, [[0, 0, 10, 10]])
    np.testing.assert_allclose(scores, [0.4])


def test_weights_count_in_sides_and_scores():
    one, other = found(([0, 0, 10, 10], 0.5, 0)), found(([0, 0, 10, 14], 0.5, 0))
    boxes, scores, _ = join(one, other, weights=[3.0, 1.0])
    np.testing.assert_allclose(boxes, [[0, 0, 10, 11]])
    # The mean of 3 · 0.5 and 0.5, times 2 members, over a weight of 4.
    np.testing.assert_allclose(scores, [0.5])


def test_what_the_heavier_member_alone_found_keeps_its_share_of_the_weight():
    _, scores, _ = join(found(([0, 0, 9, 9], 0.8, 0)), found(), weights=[3.0, 1.0])
    np.testing.assert_allclose(scores, [0.6])


def test_boxes_of_two_classes_are_two_objects():
    _, scores, classes = join(found(([0, 0, 10, 10], 0.8, 0)), found(([0, 0, 10, 10], 0.6, 1)))
    assert classes.tolist() == [0, 1]
    np.testing.assert_allclose(scores, [0.4, 0.3])


def test_an_overlap_must_be_above_the_limit():
    # They share 50 of 150: a third.
    one, other = found(([0, 0, 10, 10], 0.8, 0)), found(([0, 5, 10, 15], 0.6, 0))
    assert len(join(one, other, iou=0.34)[0]) == 2
    assert len(join(one, other, iou=0.33)[0]) == 1


def test_a_box_goes_to_what_was_joined_before_and_not_to_a_box_of_it():
    members = [
        found(([0, 0, 10, 10], 0.8, 0)),
        found(([0, 2, 10, 12], 0.8, 0)),
        found(([0, 0, 10, 8], 0.4, 0)),
    ]
    # The first two share 80 of 120. Their mean, from 1 to 11, shares 70 of 110 with the third; the
    # first by itself shares 80 of 100 with it.
    assert len(join(*members, iou=0.64)[0]) == 2
    assert len(join(*members, iou=0.63)[0]) == 1


def test_boxes_with_low_scores_are_not_looked_at():
    one = found(([0, 0, 10, 10], 0.8, 0), ([50, 50, 60, 60], 0.1, 0))
    assert len(join(one, found(), least_score=0.2)[0]) == 1


def test_where_nobody_finds_anything_there_is_nothing():
    boxes, scores, classes = join(found(), found())
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("weights", [[1.0, 1.0], [3.0, 1.0]], ids=["equal", "other"])
def test_what_one_member_finds_twice_is_not_found_by_two(weights):
    one = found(([0, 0, 10, 10], 0.9, 0), ([0, 0, 10, 10], 0.8, 0))
    boxes, scores, _ = join(one, found(), weights=weights)
    np.testing.assert_allclose(boxes, [[0, 0, 10, 10]])
    np.testing.assert_allclose(scores, [0.9 * weights[0] / sum(weights)])


def test_a_box_without_a_score_stays_where_it_is():
    boxes, scores, _ = join(found(([1, 2, 3, 4], 0.0, 0)), found())
    assert (boxes.tolist(), scores.tolist()) == ([[1, 2, 3, 4]], [0.0])


def slowly(members, weights, iou, least_score):
    """Section 3 of arXiv:1910.13302, step by step, on plain numbers; but scores count members."""
    every = [
        (number, score * weight, member, box)
        for member, ((boxes, scores, classes), weight) in enumerate(
            zip(members, weights, strict=True)
        )
        for box, score, number in zip(
            boxes.tolist(), scores.astype(float).tolist(), classes.tolist(), strict=True
        )
        if score >= least_score
    ]
    every.sort(key=lambda one: -one[1])
    clusters = []
    for number, worth, member, box in every:
        best, where = iou, None
        for cluster in clusters:
            if cluster["class"] == number and overlap(cluster["box"], box) > best:
                best, where = overlap(cluster["box"], box), cluster
        if where is None:
            where = {"class": number, "parts": [], "of": {}}
            clusters.append(where)
        where["parts"].append((worth, box))
        total = sum(worth for worth, _ in where["parts"])
        where["box"] = [sum(w * b[i] for w, b in where["parts"]) / total for i in range(4)]
        # Not the paper's: of two boxes of one member only the better one is worth anything.
        where["of"].setdefault(member, worth)
        where["score"] = sum(where["of"].values()) / sum(weights)
    return sorted(((c["class"], c["score"], c["box"]) for c in clusters), key=lambda one: -one[1])


def overlap(one, other):
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return both / (sum(areas) - both)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("options", [(0.55, 0.0), (0.3, 0.2)], ids=["usual", "other options"])
def test_many_boxes_are_joined_as_the_paper_says(seed, options):
    iou, least_score = options
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 80, (12, 2))
    members = []
    for _ in range(3):
        near = np.concatenate((corners, corners + rng.uniform(10, 40, (12, 2))), axis=1)
        near += rng.normal(0, 1.5, near.shape)
        twice = np.concatenate((near, near[:4] + 0.5))
        numbers = rng.integers(0, 3, 12)
        scores = rng.uniform(0.05, 1, 16).astype(np.float32)
        members.append((twice, scores, np.concatenate((numbers, numbers[:4]))))
    weights = [1.0, 2.0, 0.5]
    boxes, scores, classes = join(*members, weights=weights, iou=iou, least_score=least_score)
    wanted = slowly(members, weights, iou, least_score)
    assert classes.tolist() == [number for number, _, _ in wanted]
    np.testing.assert_allclose(scores, [score for _, score, _ in wanted], rtol=1e-12)
    np.testing.assert_allclose(boxes, [box for _, _, box in wanted], rtol=1e-12)
