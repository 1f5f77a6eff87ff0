"""Maps of points and boxes, worked out by hand."""

import numpy as np
import pytest

from edgeprep.errors import ShapeError
from edgeprep.geometry import IDENTITY, Affine

HALVE = Affine.scaled(0.5, 0.25, x=10.0, y=-4.0)
# A quarter clockwise in a picture 6 pixels high.
QUARTER = Affine((0.0, 1.0, 0.0), (-1.0, 0.0, 6.0))


def test_points_are_stretched_and_moved():
    assert HALVE.points([[0, 0], [2, 8]]).tolist() == [[10, -4], [11, -2]]
    assert QUARTER.points([1.0, 2.0]).tolist() == [2, 5]
    assert IDENTITY.points([[0.5, 3.25]]).tolist() == [[0.5, 3.25]]


def test_boxes_keep_their_least_corner_first():
    assert HALVE.boxes([0, 0, 2, 8]).tolist() == [10, -4, 11, -2]
    assert QUARTER.boxes([[1, 2, 4, 3]]).tolist() == [[2, 2, 3, 5]]
    assert Affine.scaled(-1.0, 1.0, x=9.0).boxes([[2, 1, 5, 7]]).tolist() == [[4, 1, 7, 7]]


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3)])
def test_arrays_of_any_number_of_axes_are_taken(shape):
    assert HALVE.points(np.ones((*shape, 2), np.float32)).shape == (*shape, 2)
    assert HALVE.boxes(np.ones((*shape, 4), np.float32)).shape == (*shape, 4)


def test_maps_follow_each_other():
    points = np.random.default_rng(1).normal(size=(20, 2))
    both = QUARTER.after(HALVE)
    assert both.points(points) == pytest.approx(QUARTER.points(HALVE.points(points)))
    assert both.points([0, 0]).tolist() == [-4, -4]
    assert HALVE.after(IDENTITY) == IDENTITY.after(HALVE) == HALVE


@pytest.mark.parametrize("affine", [HALVE, QUARTER, QUARTER.after(HALVE), IDENTITY])
def test_an_inverse_undoes(affine):
    points = np.random.default_rng(2).normal(size=(20, 2))
    assert affine.inverse().points(affine.points(points)) == pytest.approx(points)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HALVE.points([1, 2, 3]), "points: must have shape (…, 2), got (3,)"),
        (lambda: HALVE.boxes(np.zeros((7, 2))), "boxes: must have shape (…, 4), got (7, 2)"),
    ],
)
def test_other_shapes_are_refused(call, message):
    with pytest.raises(ShapeError, match="must have shape") as caught:
        call()
    assert str(caught.value) == message
