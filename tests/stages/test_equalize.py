"""Histogram equalisation: OpenCV's to the last level, in every engine."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.layout import Layout
from edgeprep.stages.linear import Linear
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

lengths = st.integers(1, 300)


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def equalized(picture, *before, color="rgb"):
    chain = chain_of(picture, *before, Equalize(), color=color)
    return chain.apply(NumpyPrimitives(), picture[None])[0]


def grey_of(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]


def with_equal_luma(picture):
    """What OpenCV's Y gains, added to red, green and blue."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., :1]
    gain = cv2.equalizeHist(luma).reshape(luma.shape).astype(int) - luma
    return np.clip(picture + gain, 0, 255)


def test_grey_is_equal_to_opencv(subject):
    grey = grey_of(subject)
    assert np.array_equal(equalized(grey, color="grey")[..., 0], cv2.equalizeHist(grey))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(size=st.tuples(lengths, lengths), spread=st.floats(0.3, 100))
def test_any_size_is_equal_to_opencv(size, spread):
    noise = np.random.default_rng(size).normal(90, spread, (*size, 1))
    levels = np.clip(noise, 0, 255).astype(np.uint8)
    assert np.array_equal(equalized(levels, color="grey")[..., 0], cv2.equalizeHist(levels))


def test_colours_gain_what_their_luma_gains(subject):
    assert np.array_equal(equalized(subject), with_equal_luma(subject))


def test_bgr_is_rgb_the_other_way_round(subject):
    expected = with_equal_luma(subject)[..., ::-1]
    assert np.array_equal(equalized(subject[..., ::-1], color="bgr"), expected)


def test_colours_are_within_two_levels_of_opencv(subject):
    # OpenCV rounds the differences of colour, of which blue has 1.773 times, and rounds again.
    converted = cv2.cvtColor(subject, cv2.COLOR_RGB2YCrCb)
    converted[..., 0] = cv2.equalizeHist(converted[..., 0]).reshape(subject.shape[:2])
    expected = cv2.cvtColor(converted, cv2.COLOR_YCrCb2RGB).astype(int)
    assert np.abs(equalized(subject) - expected).max() <= 2


@pytest.mark.parametrize("space", ["ycrcb", "lab"])
def test_of_luma_and_differences_the_luma_is_equalized(photo, space):
    chain = chain_of(photo, Color(to=space))
    levels = np.floor(chain.apply(NumpyPrimitives(), photo[None])[0] + 0.5)
    result = equalized(photo, Color(to=space))
    luma = levels[..., 0].astype(np.uint8)
    assert np.array_equal(result[..., 0], cv2.equalizeHist(luma))
    assert np.array_equal(result[..., 1:], levels[..., 1:])


def test_two_levels_become_black_and_white():
    picture = np.array([[[7], [9], [9]]], np.uint8)
    assert equalized(picture, color="grey").reshape(-1).tolist() == [0, 255, 255]


def test_levels_become_the_part_of_the_pixels_up_to_them():
    # Above the least level there are 4 pixels: 1, 3 and 4 of 4 parts of 255, halves to even.
    picture = np.array([[[0], [0], [10], [20], [20], [200]]], np.uint8)
    assert equalized(picture, color="grey").reshape(-1).tolist() == [0, 0, 64, 191, 191, 255]


def test_one_level_stays(engine):
    picture = np.full((3, 5, 1), 77, np.uint8)
    assert np.array_equal(engine(chain_of(picture, Equalize(), color="grey"), picture)[0], picture)


def test_every_engine_gives_the_same_levels(engine, small_subject):
    result = engine(chain_of(small_subject, Equalize()), small_subject)[0]
    assert np.array_equal(result, with_equal_luma(small_subject))


def test_values_that_are_not_whole_are_rounded_first_halves_up(engine, noise):
    picture = noise(26, 34)
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = picture.reshape(13, 2, 17, 2, 3).mean(axis=(1, 3))
    expected = with_equal_luma(np.floor(means + 0.5).astype(np.uint8))
    assert np.array_equal(engine(chain_of(picture, halved, Equalize()), picture)[0], expected)


def test_litert_gives_the_same_levels(litert, noise):
    picture = noise(13, 17)
    chain = chain_of(picture, Equalize())
    assert np.array_equal(litert(chain, picture)[0], with_equal_luma(picture))


# What all stages of contrast refuse, in the words of each.
@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            (Color(to="hsv"), Equalize()),
            (
                "preprocess[1]: equalize needs rgb or bgr or grey or ycrcb or lab pictures, "
                "got 'hsv'; put color with to = 'rgb' before this stage"
            ),
        ),
        (
            (Scale(), Equalize()),
            (
                "preprocess[1]: equalize needs values in 0..255, got '0..1'; "
                "put this stage before normalize and scale"
            ),
        ),
        (
            (Layout(to="nchw"), Equalize()),
            "preprocess[1]: equalize needs layout 'nhwc', got 'nchw'; put layout last",
        ),
        (
            (Linear(), Equalize()),
            (
                "preprocess[1]: equalize needs levels as screens show them, got linear light; "
                "put srgb first"
            ),
        ),
    ],
    ids=["hue", "0..1", "channels first", "linear light"],
)
def test_pictures_without_levels_are_refused(stages, message):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=stages)
    assert str(caught.value) == message


def test_planes_are_refused():
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(color="nv12"), stages=(Equalize(),))
    assert str(caught.value) == (
        "preprocess[0]: equalize needs pixels, got planes, 'nv12'; "
        "put color with to = 'rgb' before all other stages"
    )


def test_it_has_no_options():
    with pytest.raises(RecipeError, match="unknown key") as caught:
        build(Equalize, {"clip": 2}, "preprocess[0]")
    assert str(caught.value) == "preprocess[0].clip: unknown key; known here: nothing"
