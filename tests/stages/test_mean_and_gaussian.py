"""Mean and Gaussian: OpenCV's numbers, in every engine, up to the edge and beyond it."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.mean import Mean
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

# In levels. Sums of float32 are ten times better.
TOLERANCE = 1e-3


def blur(picture, size):
    return cv2.blur(picture, (size, size), borderType=cv2.BORDER_REFLECT_101)


def gaussian_blur(picture, sigma, radius):
    sides = (2 * radius + 1,) * 2
    return cv2.GaussianBlur(picture, sides, sigma, borderType=cv2.BORDER_REFLECT_101)


# Each with OpenCV's way to the same. ceil(3 · 0.85) is 3.
STAGES = {
    "mean of 3": (Mean(size=3), lambda x: blur(x, 3)),
    "mean of 5": (Mean(size=5), lambda x: blur(x, 5)),
    "mean of 21": (Mean(size=21), lambda x: blur(x, 21)),
    "gaussian of 3 weights": (Gaussian(sigma=0.3), lambda x: gaussian_blur(x, 0.3, 1)),
    "gaussian of 7 weights": (Gaussian(sigma=0.85), lambda x: gaussian_blur(x, 0.85, 3)),
    "gaussian cut short": (Gaussian(sigma=3.0, radius=2), lambda x: gaussian_blur(x, 3.0, 2)),
    "wide gaussian": (Gaussian(sigma=6.5), lambda x: gaussian_blur(x, 6.5, 20)),
}


@pytest.fixture(params=list(STAGES))
def stage_and_oracle(request):
    return STAGES[request.param]


def chain_of(picture, stage):
    height, width, channels = picture.shape
    color = "grey" if channels == 1 else "rgb"
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=(stage,))


def filtered(picture, stage):
    return chain_of(picture, stage).apply(NumpyPrimitives(), picture[None])[0]


def of_opencv(picture, oracle):
    """OpenCV in float64, which drops a last axis of one channel."""
    return oracle(picture.astype(np.float64)).reshape(picture.shape)


def test_the_numbers_are_those_of_opencv(subject, stage_and_oracle):
    stage, oracle = stage_and_oracle
    assert np.abs(filtered(subject, stage) - of_opencv(subject, oracle)).max() <= TOLERANCE


def test_an_engine_gives_the_numbers_of_opencv(engine, small_subject, stage_and_oracle):
    stage, oracle = stage_and_oracle
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.abs(result - of_opencv(small_subject, oracle)).max() <= TOLERANCE


def test_grey_is_filtered_alike(engine, noise, stage_and_oracle):
    stage, oracle = stage_and_oracle
    picture = noise(19, 23)[..., :1]
    result = engine(chain_of(picture, stage), picture)[0]
    assert np.abs(result - of_opencv(picture, oracle)).max() <= TOLERANCE


@pytest.mark.parametrize("name", ["mean of 5", "wide gaussian"])
def test_litert_gives_the_numbers_of_opencv(litert, noise, name):
    stage, oracle = STAGES[name]
    picture = noise(13, 17)
    result = litert(chain_of(picture, stage), picture)[0]
    assert np.abs(result - of_opencv(picture, oracle)).max() <= TOLERANCE


def test_a_mean_by_hand():
    picture = np.array([[0, 9, 90], [18, 27, 36]], np.uint8)[..., None]
    result = filtered(picture, Mean(size=3))[..., 0]
    # Mirrored, the rows are 9 0 9 90 9 and 27 18 27 36 27, and each is above and below the other:
    # threes of them sum to 18 99 108 and to 72 81 90.
    assert result == pytest.approx(np.array([[18, 29, 32], [12, 31, 34]]), abs=TOLERANCE)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (70, 131), (300, 7)])
@pytest.mark.parametrize("stage", [Mean(size=255), Gaussian(sigma=100.0)], ids=str)
def test_a_kernel_may_be_much_larger_than_the_picture(noise, size, stage):
    picture = noise(*size)
    if isinstance(stage, Mean):
        weights = np.full(255, 1 / 255)
    else:
        weights = np.exp(-0.5 * (np.arange(-300, 301) / 100) ** 2)
    expected = picture.astype(np.float64)
    for axis in (0, 1):
        expected = correlate1d(expected, weights / weights.sum(), axis, mode="mirror")
    assert np.abs(filtered(picture, stage) - expected).max() <= TOLERANCE


def test_a_gaussian_reaches_as_far_as_its_radius_says(noise):
    picture = noise(15, 15)
    changed = picture.copy()
    changed[7, 7] ^= 255
    stage = Gaussian(sigma=2.0, radius=3)
    differs = filtered(picture, stage) != filtered(changed, stage)
    rows, columns = np.nonzero(differs.any(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 4, 10)


def test_opencvs_uint8_is_off_by_what_the_docstring_says(photo):
    worst = 0.0
    for sigma in (0.8, 1.1, 3.0):
        exact = filtered(photo, Gaussian(sigma=sigma, radius=2))
        worst = max(worst, np.abs(exact - gaussian_blur(photo, sigma, 2)).max())
    assert 1.0 < worst <= 1.6


def test_values_in_0_to_1_stay_there(engine, noise):
    picture = noise(13, 17)
    for stage, oracle in (STAGES["mean of 3"], STAGES["gaussian of 7 weights"]):
        chain = Chain(input=ImageSpec(height=13, width=17), stages=(Scale(), stage))
        assert chain.output == chain.input.replace(range="0..1", dtype="float32")
        expected = of_opencv(picture, oracle) / 255
        assert np.abs(engine(chain, picture)[0] - expected).max() <= 1e-6


def message_of(stage, *before):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(*before, stage))
    return str(caught.value).removeprefix(f"preprocess[{len(before)}]: ")


@pytest.mark.parametrize("stage", [Mean(size=3), Gaussian(sigma=1.0)], ids=["mean", "gaussian"])
def test_numbers_that_have_no_mean_are_refused(stage):
    normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    assert message_of(stage, normalize) == (
        f"{stage.name} needs values in 0..255 or 0..1, got 'normalized'; "
        "put this stage before normalize and scale"
    )
    assert message_of(stage, Color(to="hsv")) == (
        f"{stage.name} needs rgb or bgr or grey or ycrcb or lab pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )


WRONG = {
    "mean: even": (
        {"use": "mean", "size": 4},
        ".size: must be odd, to have a pixel in the middle, got 4",
    ),
    "mean: nothing": (
        {"use": "mean", "size": 1},
        ".size: must be at least 3 and at most 255, got 1",
    ),
    "mean: huge": (
        {"use": "mean", "size": 257},
        ".size: must be at least 3 and at most 255, got 257",
    ),
    "gaussian: narrow": (
        {"use": "gaussian", "sigma": 0.05},
        ".sigma: must be at least 0.1 and at most 100.0, got 0.05",
    ),
    "gaussian: no radius": (
        {"use": "gaussian", "sigma": 1, "radius": 0},
        ".radius: must be at least 1 and at most 300, got 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused(name):
    table, message = WRONG[name]
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == f"preprocess[0]{message}"
