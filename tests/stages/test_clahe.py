"""Contrast-limited adaptive equalisation: OpenCV's to the last level, in every engine."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.color import Color
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

# Of the hard pictures, (8, 8) divides none, and (1, 1) divides all.
GRIDS = [(8, 8), (2, 3), (1, 1), (5, 32)]

lengths = st.integers(1, 300)
law = settings(deadline=None, derandomize=True, max_examples=30)


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def equalized(picture, stage, color="rgb"):
    return chain_of(picture, stage, color=color).apply(NumpyPrimitives(), picture[None])[0]


def grey_of(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]


def opencv(levels, stage):
    rows, columns = stage.grid
    result = cv2.createCLAHE(stage.clip, (columns, rows)).apply(levels)
    return result.reshape(levels.shape)


def with_opencv_luma(picture, stage):
    """What OpenCV's Y gains, added to red, green and blue."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., :1].copy()
    return np.clip(picture + (opencv(luma, stage).astype(int) - luma), 0, 255)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("clip", [0.5, 2.0, 3.7, 40.0, 256.0])
def test_grey_is_equal_to_opencv(subject, grid, clip):
    stage = Clahe(clip=clip, grid=grid)
    grey = grey_of(subject)
    assert np.array_equal(equalized(grey, stage, "grey"), opencv(grey, stage))


@pytest.mark.parametrize("size", [(224, 224), (64, 80), (63, 80), (64, 81), (63, 81)], ids=str)
def test_a_grid_that_divides_one_side_or_none_is_as_in_opencv(photo, size):
    grey = grey_of(photo[: size[0], 200 : 200 + size[1]])
    assert np.array_equal(equalized(grey, Clahe(), "grey"), opencv(grey, Clahe()))


@law
@given(
    size=st.tuples(lengths, lengths),
    grid=st.tuples(st.integers(1, 32), st.integers(1, 32)),
    clip=st.floats(0.01, 256),
)
def test_any_size_grid_and_limit_are_as_in_opencv(size, grid, clip):
    generator = np.random.default_rng(size)
    # Most pixels around one level, so that there is something to clip.
    noise = np.clip(generator.normal(90, 30, (*size, 1)), 0, 255).astype(np.uint8)
    stage = Clahe(clip=clip, grid=grid)
    assert np.array_equal(equalized(noise, stage, "grey"), opencv(noise, stage))


def test_colours_gain_what_their_luma_gains(subject):
    expected = with_opencv_luma(subject, Clahe())
    assert np.array_equal(equalized(subject, Clahe()), expected)
    assert np.array_equal(equalized(subject[..., ::-1], Clahe(), "bgr"), expected[..., ::-1])


def test_colours_are_within_two_levels_of_opencv(subject):
    # OpenCV rounds the differences of colour, of which blue has 1.773 times, and rounds again.
    converted = cv2.cvtColor(subject, cv2.COLOR_RGB2YCrCb)
    converted[..., :1] = opencv(converted[..., :1].copy(), Clahe())
    expected = cv2.cvtColor(converted, cv2.COLOR_YCrCb2RGB).astype(int)
    assert np.abs(equalized(subject, Clahe()) - expected).max() <= 2


def test_a_high_limit_clips_nothing(photo):
    grey = grey_of(photo[:64, :64])
    limited = equalized(grey, Clahe(clip=256.0, grid=(1, 1)), "grey")
    counts = np.bincount(grey.reshape(-1), minlength=256)
    assert np.array_equal(limited, np.rint(np.cumsum(counts) * (255 / 4096))[grey])


def test_the_least_limit_leaves_levels_nearly_as_they_are():
    # One of each level may occur, of 16 each; what is clipped is spread evenly over all.
    ramp = np.arange(256, dtype=np.uint8).repeat(16).reshape(64, 64, 1)
    result = equalized(ramp, Clahe(clip=1e-9, grid=(1, 1)), "grey")
    assert np.abs(result - ramp).max() <= 1


@pytest.mark.parametrize("grid", [(8, 8), (3, 5)], ids=str)
def test_every_engine_gives_the_same_levels(engine, small_subject, grid):
    stage = Clahe(grid=grid)
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.array_equal(result, with_opencv_luma(small_subject, stage))


def test_every_engine_gives_the_same_levels_of_a_whole_picture(engine, photo):
    grey = np.ascontiguousarray(grey_of(photo)[:224, 200:424])
    result = engine(chain_of(grey, Clahe(), color="grey"), grey)[0]
    assert np.array_equal(result, opencv(grey, Clahe()))


def test_values_that_are_not_whole_are_rounded_first_halves_up(engine, noise):
    picture, stage = noise(26, 34), Clahe(grid=(2, 2))
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = picture.reshape(13, 2, 17, 2, 3).mean(axis=(1, 3))
    expected = with_opencv_luma(np.floor(means + 0.5).astype(np.uint8), stage)
    assert np.array_equal(engine(chain_of(picture, halved, stage), picture)[0], expected)


def test_of_lab_the_lightness_is_equalized(photo):
    chain = chain_of(photo, Color(to="lab"))
    levels = np.floor(chain.apply(NumpyPrimitives(), photo[None])[0] + 0.5).astype(np.uint8)
    chain = chain_of(photo, Color(to="lab"), Clahe())
    result = chain.apply(NumpyPrimitives(), photo[None])[0]
    assert np.array_equal(result[..., :1], opencv(levels[..., :1].copy(), Clahe()))
    assert np.array_equal(result[..., 1:], levels[..., 1:])


def test_litert_gives_the_same_levels(litert, noise):
    picture, stage = noise(13, 17), Clahe(grid=(2, 3))
    chain = chain_of(picture, stage)
    assert np.array_equal(litert(chain, picture)[0], with_opencv_luma(picture, stage))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"clip": 0}, "clahe.clip: must be above 0 and at most 256, got 0"),
        ({"clip": 256.5}, "clahe.clip: must be above 0 and at most 256, got 256.5"),
        ({"clip": float("nan")}, "clahe.clip: must be a finite number, got nan"),
        ({"grid": [0, 8]}, "clahe.grid[0]: must be at least 1 and at most 32, got 0"),
        ({"grid": [8, 33]}, "clahe.grid[1]: must be at least 1 and at most 32, got 33"),
        ({"grid": [8.5, 8]}, "clahe.grid[0]: must be a whole number, got 8.5"),
        ({"grid": [8]}, "clahe.grid: must have 2 items, got [8]"),
        ({"grid": 8}, "clahe.grid: must be an array, got 8"),
        ({"limit": 2.0}, "clahe.limit: unknown key; known here: 'clip', 'grid'"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(table, message):
    with pytest.raises(RecipeError, match="clahe") as caught:
        build(Clahe, table, "clahe")
    assert str(caught.value) == message


def test_pictures_without_levels_are_refused():
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(Color(to="hsv"), Clahe()))
    assert str(caught.value) == (
        "preprocess[1]: clahe needs rgb or bgr or grey or ycrcb or lab pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )
