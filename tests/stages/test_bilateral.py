"""Bilateral: OpenCV's float32 numbers, weights by hand, noise gone and edges kept."""

from math import exp, hypot

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.bilateral import Bilateral
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

# In levels: what OpenCV's table of exponentials is off, at most, and sums of float32.
TOLERANCE = 1e-3

STAGES = {
    "disc of 3": Bilateral(sigma_color=20.0, sigma_space=2.0, diameter=3),
    "disc of 5": Bilateral(sigma_color=30.0, sigma_space=2.0),
    "disc of 9": Bilateral(sigma_color=75.0, sigma_space=75.0, diameter=9),
    "few are alike": Bilateral(sigma_color=0.5, sigma_space=3.0, diameter=7),
    "all are alike": Bilateral(sigma_color=1000.0, sigma_space=1000.0),
}


def chain_of(picture, stage):
    height, width, channels = picture.shape
    color = "grey" if channels == 1 else "rgb"
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=(stage,))


def filtered(picture, stage):
    return chain_of(picture, stage).apply(NumpyPrimitives(), picture[None])[0]


def of_opencv(picture, stage):
    """OpenCV's, which drops a last axis of one channel."""
    return cv2.bilateralFilter(
        picture,
        stage.diameter,
        stage.sigma_color,
        stage.sigma_space,
        borderType=cv2.BORDER_REFLECT_101,
    ).reshape(picture.shape)


@pytest.mark.parametrize("name", STAGES)
def test_the_numbers_are_those_of_opencv(subject, name):
    expected = of_opencv(subject.astype(np.float32), STAGES[name])
    assert np.abs(filtered(subject, STAGES[name]) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("name", STAGES)
def test_rounded_they_are_those_of_opencvs_uint8(subject, name):
    result = filtered(subject, STAGES[name])
    difference = np.abs(np.floor(result + 0.5) - of_opencv(subject, STAGES[name]))
    assert difference.max() <= 1
    # Only where the two sides of a half are all but one.
    assert np.abs(result % 1 - 0.5)[difference > 0].max(initial=0) <= TOLERANCE


@pytest.mark.parametrize("name", ["disc of 3", "disc of 5", "few are alike"])
def test_an_engine_gives_the_numbers_of_opencv(engine, small_subject, name):
    result = engine(chain_of(small_subject, STAGES[name]), small_subject)[0]
    expected = of_opencv(small_subject.astype(np.float32), STAGES[name])
    assert np.abs(result - expected).max() <= TOLERANCE


def test_grey_is_filtered_alike(engine, photo):
    picture = cv2.cvtColor(photo[110:175, 230:309], cv2.COLOR_RGB2GRAY)[..., None]
    result = engine(chain_of(picture, STAGES["disc of 5"]), picture)[0]
    expected = of_opencv(picture.astype(np.float32), STAGES["disc of 5"])
    assert np.abs(result - expected).max() <= TOLERANCE


def test_litert_gives_the_numbers_of_opencv(litert, photo):
    picture = photo[120:133, 240:257]
    expected = of_opencv(picture.astype(np.float32), STAGES["disc of 5"])
    result = litert(chain_of(picture, STAGES["disc of 5"]), picture)[0]
    assert np.abs(result - expected).max() <= TOLERANCE


def test_the_formula_itself(photo):
    """Pixel by pixel in float64, from the docstring alone."""
    picture = photo[120:133, 240:257].astype(np.float64)
    stage = Bilateral(sigma_color=25.0, sigma_space=1.5, diameter=7)
    wide = np.pad(picture, ((3, 3), (3, 3), (0, 0)), mode="reflect")
    expected = np.empty_like(picture)
    for row, column in np.ndindex(picture.shape[:2]):
        middle, total, weights = picture[row, column], np.zeros(3), 0.0
        for down, right in np.ndindex(7, 7):
            r = hypot(down - 3, right - 3)
            if r > 3:
                continue
            other = wide[row + down, column + right]
            d = np.abs(other - middle).sum()
            weight = exp(-(r**2) / (2 * 1.5**2) - d**2 / (2 * 25.0**2))
            total, weights = total + weight * other, weights + weight
        expected[row, column] = total / weights
    assert np.abs(filtered(photo[120:133, 240:257], stage) - expected).max() <= TOLERANCE


def test_weights_by_hand():
    picture = np.array([[10, 30, 30]], np.uint8)[..., None]
    result = filtered(picture, Bilateral(sigma_color=20.0, sigma_space=1.0, diameter=3))
    near, other = exp(-0.5), exp(-0.5 - 0.5)
    # A row of its own is above and below itself; mirrored, it is 30 10 30 30 30.
    first = (10 * (1 + 2 * near) + 30 * 2 * other) / (1 + 2 * near + 2 * other)
    second = (30 * (1 + 3 * near) + 10 * other) / (1 + 3 * near + other)
    assert result[0, :, 0] == pytest.approx([first, second, 30], abs=TOLERANCE)


def test_differences_of_all_channels_count_as_one(photo):
    grey = cv2.cvtColor(photo[110:175, 230:309], cv2.COLOR_RGB2GRAY)[..., None]
    alone = filtered(grey, Bilateral(sigma_color=10.0, sigma_space=2.0))
    thrice = filtered(grey.repeat(3, axis=2), Bilateral(sigma_color=30.0, sigma_space=2.0))
    assert np.abs(thrice - alone).max() <= TOLERANCE


def test_a_picture_of_several_strips_has_no_seams(photo):
    """The host works on a few rows at a time."""
    assert photo.size > 2 * 2**18
    expected = of_opencv(photo.astype(np.float32), STAGES["disc of 5"])
    assert np.abs(filtered(photo, STAGES["disc of 5"]) - expected).max() <= TOLERANCE


def test_noise_goes_and_an_edge_stays():
    rng = np.random.default_rng(5)
    clean = np.full((40, 60, 1), 60.0)
    clean[:, 30:] = 180
    picture = np.clip(np.rint(clean + rng.normal(0, 6, clean.shape)), 0, 255).astype(np.uint8)
    stage = Bilateral(sigma_color=30.0, sigma_space=2.0, diameter=7)
    result = filtered(picture, stage)
    assert np.abs(result - clean).mean() < np.abs(picture - clean).mean() / 3
    beside = slice(29, 31)
    blurred = filtered(picture, Gaussian(sigma=2.0, radius=3))
    assert np.abs(result - clean)[:, beside].max() < 12
    assert np.abs(blurred - clean)[:, beside].min() > 30


def message_of(*stages):
    with pytest.raises(RecipeError, match="bilateral") as caught:
        Chain(input=ImageSpec(), stages=(*stages, STAGES["disc of 5"]))
    return str(caught.value)


def test_what_its_levels_have_no_meaning_for_is_refused():
    assert message_of(Scale()) == (
        "preprocess[1]: bilateral needs values in 0..255, got '0..1'; "
        "put this stage before normalize and scale"
    )
    assert message_of(Color(to="hsv")) == (
        "preprocess[1]: bilateral needs rgb or bgr or grey or ycrcb or lab pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )


WRONG = {
    "an even diameter": (
        {"diameter": 4},
        "diameter: must be odd, to have a pixel in the middle, got 4",
    ),
    "a large diameter": ({"diameter": 11}, "diameter: must be at least 3 and at most 9, got 11"),
    "no colours alike": (
        {"sigma_color": 0.01},
        "sigma_color: must be at least 0.1 and at most 1000.0, got 0.01",
    ),
    "too wide": (
        {"sigma_space": 2000},
        "sigma_space: must be at least 0.1 and at most 1000.0, got 2000",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused(name):
    options, message = WRONG[name]
    table = {"use": "bilateral", "sigma_color": 30, "sigma_space": 2, **options}
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == f"preprocess[0].{message}"
