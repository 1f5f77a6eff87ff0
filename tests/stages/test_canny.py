"""Canny: OpenCV's pixels where the steps reach, and nothing too much where they do not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.canny import Canny
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

THRESHOLDS = [(100, 200), (50, 150), (0, 0), (30, 30), (0, 2040), (700, 701)]

lengths = st.integers(1, 300)
law = settings(deadline=None, derandomize=True, max_examples=30)


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def edges(picture, stage, color="rgb"):
    return chain_of(picture, stage, color=color).apply(NumpyPrimitives(), picture[None])[0]


def grey_of(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def opencv(picture, low, high):
    return cv2.Canny(grey_of(picture), low, high)[..., None]


def reached(picture, low, high, steps):
    """The pixels of OpenCV that are at most so many steps along weak ones from a strong one."""
    # Where both thresholds are one, all weak pixels are strong, and nothing has to grow.
    found, weak = opencv(picture, high, high)[..., 0], opencv(picture, low, low)[..., 0]
    for _ in range(steps):
        found = cv2.dilate(found, np.ones((3, 3), np.uint8)) & weak
    return found[..., None]


def corridor():
    """RGB: the edge of a rectangle, weak but for its upper third, which is strong."""
    picture = np.full((40, 50, 3), 100, np.uint8)
    picture[5:35, 8:30] = 130
    picture[5:15, 8:30] = 190
    return picture


@pytest.mark.parametrize(("low", "high"), THRESHOLDS)
def test_with_steps_enough_every_pixel_is_that_of_opencv(subject, low, high):
    stage, expected = Canny(low=low, high=high, steps=1024), opencv(subject, low, high)
    assert np.array_equal(edges(subject, stage), expected)
    assert np.array_equal(edges(subject[..., ::-1], stage, "bgr"), expected)
    assert np.array_equal(edges(grey_of(subject)[..., None], stage, "grey"), expected)


@law
@given(
    size=st.tuples(lengths, lengths),
    thresholds=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    blur=st.sampled_from([1, 3, 9]),
)
def test_any_size_and_thresholds_are_as_in_opencv(size, thresholds, blur):
    noise = np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)
    picture, (low, high) = cv2.blur(noise, (blur, blur)), sorted(thresholds)
    result = edges(picture, Canny(low=low, high=high, steps=1024))
    assert np.array_equal(result, opencv(picture, low, high))


@pytest.mark.parametrize(("low", "high"), [(100, 200), (50, 150)])
def test_of_a_photo_of_224_pixels_the_default_steps_are_enough(photo, low, high):
    picture = cv2.resize(photo, (224, 224), interpolation=cv2.INTER_AREA)
    assert np.array_equal(edges(picture, Canny(low=low, high=high)), opencv(picture, low, high))


@pytest.mark.parametrize("steps", [1, 2, 5, 13])
@pytest.mark.parametrize(("low", "high"), [(50, 150), (20, 400)])
def test_with_too_few_steps_edges_end_where_the_steps_do(photo, low, high, steps):
    result = edges(photo, Canny(low=low, high=high, steps=steps))
    exact = opencv(photo, low, high)
    assert np.array_equal(result, reached(photo, low, high, steps))
    assert not (result > exact).any()
    assert (result < exact).any()


def test_the_last_step_makes_it_exact_and_more_change_nothing():
    picture = corridor()
    exact = opencv(picture, 50, 200)
    longest = 1
    while not np.array_equal(reached(picture, 50, 200, longest), exact):
        longest += 1
    assert longest > 20
    results = [edges(picture, Canny(low=50, high=200, steps=n)) for n in range(1, longest + 9)]
    counts = [np.count_nonzero(result) for result in results]
    assert (np.diff(counts[:longest]) > 0).all()
    for result in results[longest - 1 :]:
        assert np.array_equal(result, exact)


@pytest.mark.parametrize("steps", [1, 9, 32])
def test_every_engine_finds_the_same_with_any_steps(engine, steps):
    picture = corridor()
    result = engine(chain_of(picture, Canny(low=50, high=200, steps=steps)), picture)[0]
    assert np.array_equal(result, reached(picture, 50, 200, steps))


def test_every_engine_finds_the_same(engine, small_subject):
    result = engine(chain_of(small_subject, Canny(steps=20)), small_subject)[0]
    assert np.array_equal(result, opencv(small_subject, 100, 200))


def test_values_that_are_not_whole_are_rounded_first_halves_up(engine, noise):
    grey = noise(26, 34)[..., :1]
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = grey.reshape(13, 2, 17, 2, 1).mean(axis=(1, 3))
    rounded = np.floor(means + 0.5).astype(np.uint8).repeat(3, axis=-1)
    stage = Canny(steps=20)
    result = engine(chain_of(grey, halved, stage, color="grey"), grey)[0]
    assert np.array_equal(result, opencv(rounded, 100, 200))
    assert result.any()


def test_litert_finds_the_same(litert):
    picture = corridor()
    result = litert(chain_of(picture, Canny(low=50, high=200, steps=5)), picture)[0]
    assert np.array_equal(result, reached(picture, 50, 200, 5))


def test_a_sharp_line_is_one_pixel_wide():
    picture = np.zeros((9, 9, 1), np.uint8)
    picture[:, 5:] = 200
    assert np.array_equal(
        edges(picture, Canny(), "grey")[..., 0], [[0, 0, 0, 0, 255] + [0] * 4] * 9
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"low": 201}, "canny.low: must be at most high, got 201 and 200"),
        ({"low": -1}, "canny.low: must be at least 0 and at most 2040, got -1"),
        ({"low": 10.5}, "canny.low: must be a whole number, got 10.5"),
        ({"high": 2041}, "canny.high: must be at least 0 and at most 2040, got 2041"),
        ({"steps": 0}, "canny.steps: must be at least 1 and at most 1024, got 0"),
        ({"steps": 1025}, "canny.steps: must be at least 1 and at most 1024, got 1025"),
        ({"step": 3}, "canny.step: unknown key; did you mean 'steps'?"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(table, message):
    with pytest.raises(RecipeError, match="canny") as caught:
        build(Canny, table, "canny")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (
            Color(to="hsv"),
            (
                "needs rgb or bgr or grey pictures, got 'hsv'; "
                "put color with to = 'rgb' before this stage"
            ),
        ),
        (
            Scale(),
            "needs values in 0..255, got '0..1'; put this stage before normalize and scale",
        ),
    ],
    ids=["hue", "0..1"],
)
def test_pictures_without_levels_are_refused(before, message):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(before, Canny()))
    assert str(caught.value) == f"preprocess[1]: canny {message}"
