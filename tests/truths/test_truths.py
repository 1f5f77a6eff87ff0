"""What a network is taught: truths in the picture that it sees, by hand."""

import numpy as np
import pytest

from edgeprep.errors import PluginError, RecipeError, ShapeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.truths import Boxes, Classes, Map, Mask, Picture, as_seen, content_of

# A picture of 4×6, of which the network sees columns 2 to 6, each pixel twice as wide and high.
HALF = Frame(4, 6, (8, 8), (Affine.scaled(0.5, 0.5, 2.0, 0.0),))
WHOLE = Frame(4, 6, (4, 6), (IDENTITY,))
# As a flip sees it.
MIRRORED = Frame(4, 6, (4, 6), (Affine((-1.0, 0.0, 6.0), (0.0, 1.0, 0.0)),))
GRID = np.arange(24, dtype=np.uint8).reshape(4, 6)


def test_numbers_of_classes_stay_what_they_are():
    assert as_seen(3, None).tolist() == 3
    assert as_seen(3, None).dtype == np.int64
    assert as_seen(3, HALF).tolist() == 3


def test_several_classes_are_one_number_each():
    seen = as_seen(Classes(np.array([True, False])), HALF)
    assert (seen.tolist(), seen.dtype) == ([1.0, 0.0], np.float32)


def test_several_classes_lie_nowhere():
    assert as_seen(Classes(np.array([True, False])), None).tolist() == [1.0, 0.0]


def test_what_lies_in_a_picture_is_of_a_spatial_task():
    message = (
        "^task: a task whose truths lie in pictures must be spatial, got one that is not, and Mask$"
    )
    with pytest.raises(PluginError, match=message):
        as_seen(Mask(GRID), None)


def test_boxes_are_moved_and_cut():
    boxes = Boxes.of([[1, 0, 3, 2], [2.5, 1, 4, 3]], [7, 8])
    assert as_seen(boxes, HALF).tolist() == [[7, 0, 0, 2, 4], [8, 1, 2, 4, 6]]


def test_boxes_are_mirrored_with_their_corners_in_order():
    assert as_seen(Boxes.of([[1, 0, 3, 2]], [7]), MIRRORED).tolist() == [[7, 3, 0, 5, 2]]


def test_slivers_and_crowds_are_there_without_a_class():
    out, sliver, crowd = [0, 0, 1, 1], [0, 0, 2.4, 1], [2, 0, 6, 4]
    boxes = Boxes.of([out, sliver, crowd], [0, 0, 0], crowd=[False, False, True])
    seen = as_seen(boxes, HALF)
    np.testing.assert_allclose(seen, [[-2, 0, 0, 0.8, 2], [-2, 0, 0, 8, 8]], rtol=1e-6)


def test_a_box_that_is_turned_has_all_its_corners_within():
    # By an eighth of a turn around its middle, (64, 64): its corners are 40 √2 from there.
    half = 0.5**0.5
    turned = Affine((half, half, 64 - 128 * half), (-half, half, 64.0))
    seen = as_seen(Boxes.of([[24, 24, 104, 104]], [3]), Frame(128, 128, (128, 128), (turned,)))
    reach = 40 * 2**0.5
    np.testing.assert_allclose(
        seen, [[3, 64 - reach, 64 - reach, 64 + reach, 64 + reach]], rtol=1e-6
    )


def test_boxes_of_other_lengths_are_refused():
    with pytest.raises(ShapeError, match=r"^boxes: all arrays must have 1 rows, got \[1, 2, 1\]$"):
        Boxes.of([[0, 0, 1, 1]], [0], crowd=[False, True])


def test_masks_are_taken_at_the_centres_of_pixels():
    seen = as_seen(Mask(GRID), HALF)
    assert (seen == GRID[:, 2:].repeat(2, 0).repeat(2, 1)).all()
    assert seen.dtype == np.uint8


def test_what_a_mask_does_not_cover_is_not_asked_for():
    beyond = Frame(4, 6, (4, 8), (Affine.scaled(1.0, 1.0, -1.0, 0.0),))
    seen = as_seen(Mask(GRID), beyond)
    assert (seen[:, [0, 7]] == 255).all()
    assert (seen[:, 1:7] == GRID).all()


def test_maps_are_not_known_beyond_their_border():
    beyond = Frame(4, 6, (4, 7), (IDENTITY,))
    seen = as_seen(Map(GRID.astype(np.float32)), beyond)
    assert np.isnan(seen[:, 6]).all()
    assert (seen[:, :6] == GRID).all()


def test_pictures_of_twice_the_size_stay_so():
    large = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    assert (as_seen(Picture(large), WHOLE) == large).all()
    assert (as_seen(Picture(large), MIRRORED) == large[:, ::-1]).all()


def test_pictures_to_become_are_not_resized():
    # Stripes of one pixel: a nearest pixel of each three would make broad stripes of them.
    stripes = np.zeros((4, 6, 3), np.uint8)
    stripes[:, ::2] = 255
    smaller = Frame(4, 6, (2, 2), (Affine.scaled(3.0, 2.0),))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        as_seen(Picture(stripes), smaller)
    assert str(caught.value) == (
        "preprocess, augment: must leave pixels as large as they are, where a picture is learned, "
        "got one that is resized by 0.3333 and 0.5; leave out what resizes"
    )
    crop = Frame(4, 6, (2, 3), (Affine((0.0, -1.0, 5.0), (1.0, 0.0, 0.0)),))
    assert as_seen(Picture(stripes), crop)[:, :, 0].tolist() == [[255] * 3, [0] * 3]


def test_what_a_picture_is_to_become_is_not_known_beyond_its_border():
    # As where two columns are filled up to the left, and one row is cut off at the top.
    beyond = Frame(4, 6, (3, 8), (Affine.scaled(1.0, 1.0, -2.0, 1.0),))
    levels = np.stack([GRID] * 3, axis=-1)
    seen = as_seen(Picture(levels), beyond)
    assert seen.dtype == np.float32
    assert np.isnan(seen[:, :2]).all()
    assert (seen[:, 2:] == levels[1:]).all()
    within = Frame(4, 6, (3, 4), (Affine.scaled(1.0, 1.0, 2.0, 1.0),))
    assert as_seen(Picture(levels), within).dtype == np.uint8


def test_contents_differ_where_truths_do():
    truths = [
        None,
        1,
        2,
        Mask(GRID),
        Mask(GRID[::-1]),
        Map(GRID.astype(np.float32)),
        Boxes.of([[0, 0, 1, 1]], [0]),
        Boxes.of([[0, 0, 1, 1]], [1]),
    ]
    assert len({content_of(truth) for truth in truths}) == len(truths)
    assert content_of(Mask(GRID)) == content_of(Mask(GRID.copy()))
