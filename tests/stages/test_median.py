"""The median of a square: the same whole levels as OpenCV's, in every pixel and engine."""

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.formulas.order import SortingNetwork, merge, sort
from edgeprep.stages.linear import Linear
from edgeprep.stages.mean import Mean
from edgeprep.stages.median import Median
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

F = NumpyPrimitives()

SIZES = pytest.mark.parametrize("size", [3, 5])


def chain_of(picture, *stages):
    height, width, channels = picture.shape
    color = "grey" if channels == 1 else "rgb"
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def of_opencv(picture, size):
    """OpenCV's, which repeats the last pixel, and drops a last axis of one channel."""
    return cv2.medianBlur(picture, size).reshape(picture.shape)


@SIZES
def test_every_pixel_is_that_of_opencv(subject, size):
    result = chain_of(subject, Median(size=size)).apply(F, subject[None])[0]
    assert np.array_equal(result, of_opencv(subject, size))


@SIZES
def test_an_engine_gives_every_pixel_of_opencv(engine, small_subject, size):
    result = engine(chain_of(small_subject, Median(size=size)), small_subject)[0]
    assert result.dtype == np.float32
    assert np.array_equal(result, of_opencv(small_subject, size))


@SIZES
@pytest.mark.parametrize("shape", [(1, 9), (2, 3), (4, 5), (31, 46)])
def test_grey_and_small_pictures_too(engine, noise, size, shape):
    picture = noise(*shape)[..., :1]
    result = engine(chain_of(picture, Median(size=size)), picture)[0]
    assert np.array_equal(result, of_opencv(picture, size))


def test_litert_gives_every_pixel_of_opencv(litert, noise):
    picture = noise(13, 17)
    chain = chain_of(picture, Median(size=5), Median(size=3))
    expected = of_opencv(of_opencv(picture, 5), 3)
    assert np.array_equal(litert(chain, picture)[0], expected)


def test_a_picture_of_several_strips_has_no_seams(photo):
    """The host works on a few rows at a time."""
    assert photo.size > 2 * 2**18
    result = chain_of(photo, Median(size=5)).apply(F, photo[None])[0]
    assert np.array_equal(result, of_opencv(photo, 5))


@SIZES
def test_salt_and_pepper_go_by_hand(size):
    picture = np.full((7, 9, 3), 100, np.uint8)
    picture[3, 4], picture[0, 0] = 255, 0
    result = chain_of(picture, Median(size=size)).apply(F, picture[None])[0]
    # Beyond the corner its pixel is there again: 4 times in 9, and 9 times in 25.
    assert np.array_equal(result, np.full((7, 9, 3), 100))


def test_what_is_not_whole_is_rounded_first(engine, noise):
    picture = noise(13, 17)
    result = engine(chain_of(picture, Mean(size=3), Median(size=3)), picture)[0]
    # Nine whole levels are never half a level off a whole mean, so that no engine is in doubt.
    means = cv2.blur(picture.astype(np.float64), (3, 3), borderType=cv2.BORDER_REFLECT_101)
    assert np.array_equal(result, of_opencv(np.floor(means + 0.5).astype(np.uint8), 3))


def test_halves_go_up_and_what_is_out_of_range_is_held():
    image = ImageSpec(height=1, width=5, color="grey", dtype="float32")
    x = np.array([0.5, 0.5, 99.4, -3.0, 270.0], np.float32).reshape(1, 1, 5, 1)
    result = Median(size=3).apply(F, x, image)
    assert result.reshape(-1).tolist() == [1, 1, 1, 99, 255]


@pytest.mark.parametrize("lengths", [(1, 1), (1, 4), (3, 2), (5, 5), (5, 10), (7, 6)], ids=str)
def test_a_merge_sorts_any_two_ascending_sequences(lengths):
    """A network that sorts all zeros and ones sorts everything (Knuth)."""
    first, second = lengths
    network = SortingNetwork.to(*merge(range(first), range(first, first + second)))
    for ones in range(first + 1):
        for others in range(second + 1):
            left = sorted([1] * ones + [0] * (first - ones))
            right = sorted([1] * others + [0] * (second - others))
            inputs = [np.array(each) for each in (*left, *right)]
            assert [int(each) for each in network.compute(F, inputs)] == sorted(left + right)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_a_network_sorts_all_zeros_and_ones(length):
    cases = np.arange(2**length)[:, None] >> np.arange(length) & 1
    found = SortingNetwork.to(*sort(range(length))).compute(F, list(cases.T))
    assert np.array_equal(np.stack(found, axis=1), np.sort(cases, axis=1))


def test_a_network_computes_nothing_that_is_not_asked_for():
    lines = sort(range(8))
    assert len(SortingNetwork.to(lines[0]).steps) == 7
    assert len(SortingNetwork.to(*lines).steps) == 38


def message_of(*stages):
    with pytest.raises(RecipeError, match="median") as caught:
        Chain(input=ImageSpec(), stages=(*stages, Median(size=3)))
    return str(caught.value)


def test_what_has_no_levels_is_refused():
    assert message_of(Scale()) == (
        "preprocess[1]: median needs values in 0..255, got '0..1'; "
        "put this stage before normalize and scale"
    )
    assert message_of(Color(to="lab")) == (
        "preprocess[1]: median needs rgb or bgr or grey pictures, got 'lab'; "
        "put color with to = 'rgb' before this stage"
    )
    assert message_of(Linear()) == (
        "preprocess[1]: median needs levels as screens show them, got linear light; put srgb first"
    )


def test_another_size_is_refused():
    with pytest.raises(RecipeError, match="size") as caught:
        Chain.build(
            [{"use": "median", "size": 7}],
            input=ImageSpec(),
            registry=Registry(installed=False),
        )
    assert str(caught.value) == "preprocess[0].size: must be one of 3, 5, got 7"
