"""Overlaps of boxes, by hand and box by box."""

import numpy as np
import pytest
import torch
from pycocotools import mask

from edgeprep.train.box_overlap import generalized_overlaps, pairwise_overlaps


def generalized(one, other):
    return float(generalized_overlaps(torch.tensor(one), torch.tensor(other)))


def test_generalized_overlap_by_hand():
    square = [0.0, 0.0, 2.0, 2.0]
    assert generalized(square, square) == 1.0
    # A quarter of each: 1 of 7, and of the 9 around both 2 are nobody's.
    assert generalized(square, [1.0, 1.0, 3.0, 3.0]) == pytest.approx(1 / 7 - 2 / 9)
    # They do not meet: of the 12 around both, 4 are nobody's.
    assert generalized(square, [4.0, 0.0, 6.0, 2.0]) == pytest.approx(-4 / 12)
    # The one inside the other: the box around both is the larger one.
    assert generalized(square, [0.0, 0.0, 1.0, 1.0]) == pytest.approx(1 / 4)


def test_a_box_without_an_area_overlaps_nothing():
    point = [1.0, 1.0, 1.0, 1.0]
    assert generalized(point, [0.0, 0.0, 2.0, 2.0]) == pytest.approx(0.0)
    # Nothing of nothing: no NaN, whatever else.
    assert generalized(point, point) == 1.0 - 1.0


def test_a_box_that_is_inside_out_has_no_area():
    assert generalized([2.0, 0.0, 0.0, 2.0], [0.0, 0.0, 2.0, 2.0]) == pytest.approx(0.0)


def as_coco(corners):
    """Least x, least y, width and height."""
    return np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1).astype(np.float64)


def test_pairs_overlap_as_in_pycocotools():
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 20, (2, 9, 2))
    boxes = np.concatenate((low, low + generator.uniform(1, 20, (2, 9, 2))), 2).astype(np.float32)
    found = pairwise_overlaps(torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4:]))
    assert found.shape == (2, 4, 5)
    for index in range(2):
        ours, others = as_coco(boxes[index, :4]), as_coco(boxes[index, 4:])
        wanted = mask.iou(ours, others, [0] * len(others))
        np.testing.assert_allclose(found[index], wanted, rtol=1e-5)


def test_the_gradient_brings_boxes_together_that_do_not_meet():
    box = torch.tensor([0.0, 0.0, 2.0, 2.0], requires_grad=True)
    generalized_overlaps(box, torch.tensor([8.0, 0.0, 10.0, 2.0])).backward()
    # Its right side had better be further to the right.
    assert box.grad[2] > 0
