"""The host's part: pictures in, what the graph takes out."""

import numpy as np
import pytest

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

NOTHING = Chain(input=ImageSpec(), stages=())


def test_nothing_to_do_copies_nothing(noise):
    picture = noise(5, 7)
    assert np.shares_memory(NOTHING.prepare(picture), picture)
    assert np.array_equal(NOTHING.prepare(picture)[0], picture)


def test_what_leaves_is_contiguous_even_if_the_picture_is_not(noise):
    picture = noise(10, 14)[::2, ::-2]
    result = NOTHING.prepare(picture)
    assert result.flags.c_contiguous
    assert np.array_equal(result[0], picture)


def test_a_swap_of_colours_leaves_contiguous_uint8(noise):
    result = Chain(input=ImageSpec(), stages=(Color(to="bgr"),)).prepare(noise(5, 7))
    assert result.flags.c_contiguous
    assert result.dtype == np.uint8


def test_halves_are_rounded_up():
    # Two columns to one: means of 0.5, 1.5 and 254.5.
    picture = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
    result = Chain(input=ImageSpec(), stages=(Resize(size=(1, 1)),)).prepare(picture)
    assert result.tolist() == [[[[1, 2, 255]]]]


def test_the_ends_of_the_range_stay_there():
    for level in (0, 255):
        picture = np.full((97, 61, 3), level, np.uint8)
        result = Chain(input=ImageSpec(), stages=(Resize(size=(32, 32)),)).prepare(picture)
        assert np.unique(result).tolist() == [level]


@pytest.mark.parametrize("height", [1, 2, 37])
def test_read_only_pictures_are_taken_as_they_are(noise, height):
    picture = noise(height, 5)
    picture.flags.writeable = False
    chain = Chain(input=ImageSpec(), stages=(Resize(size=(3, 3)), Pad(top=1)))
    assert chain.prepare(picture).shape == (1, 4, 3, 3)


@pytest.mark.parametrize(
    ("shape", "image", "message"),
    [
        (
            (4, 4),
            {},
            (
                "picture: must have shape (height, width, 3), got (4, 4); "
                "a picture of one channel has a last axis of length 1"
            ),
        ),
        (
            (1, 4, 4, 3),
            {},
            (
                "picture: must have shape (height, width, 3), got (1, 4, 4, 3); "
                "pictures go one at a time, or all to session.batch()"
            ),
        ),
        (
            (3, 4, 4),
            {},
            (
                "picture: must have shape (height, width, 3), got (3, 4, 4); "
                "layout is HWC, this looks like CHW"
            ),
        ),
        (
            (4, 4, 4),
            {},
            ("picture: must have shape (height, width, 3), got (4, 4, 4); drop the alpha channel"),
        ),
        ((0, 4, 3), {}, "picture: must have shape (height, width, 3), got (0, 4, 3)"),
        (
            (4, 4, 3),
            {"color": "grey"},
            "picture: must have shape (height, width, 1), got (4, 4, 3)",
        ),
        (
            (4, 5, 3),
            {"height": 5, "width": 4},
            "picture: must have shape (5, 4, 3), got (4, 5, 3)",
        ),
    ],
)
def test_a_picture_of_another_shape_is_refused(shape, image, message):
    with pytest.raises(ShapeError, match="picture") as caught:
        Chain(input=ImageSpec(**image), stages=()).prepare(np.zeros(shape, np.uint8))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (
            np.zeros((4, 4, 3), np.float32),
            (
                "picture: must have dtype uint8, values 0 to 255, got 'float32'; "
                "scaling and normalization are part of the preprocessing"
            ),
        ),
        (
            [[[0, 0, 0]]],
            (
                "picture: must be a numpy array, got 'list'; "
                "edgeprep.pictures.read_picture reads files"
            ),
        ),
    ],
    ids=["float32", "list"],
)
def test_what_is_no_array_of_uint8_is_refused(picture, message):
    with pytest.raises(DTypeError, match="picture") as caught:
        NOTHING.prepare(picture)
    assert str(caught.value) == message
