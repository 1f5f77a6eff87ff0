"""YCrCb, HSV and Lab are OpenCV's, there and back, in every engine."""

import cv2
import numpy as np
import pytest
from skimage.color import rgb2hsv, rgb2lab

from edgeprep.errors import RecipeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.linear import Linear
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

SPACES = ("ycrcb", "hsv", "lab")
THERE = {"ycrcb": cv2.COLOR_RGB2YCrCb, "hsv": cv2.COLOR_RGB2HSV, "lab": cv2.COLOR_RGB2Lab}
BACK = {"ycrcb": cv2.COLOR_YCrCb2RGB, "hsv": cv2.COLOR_HSV2RGB, "lab": cv2.COLOR_Lab2RGB}
# OpenCV's uint8 is a whole level, ours is not: 0.5 of each, and what its tables in whole numbers
# add. Its Lab is the coarsest; its own float32 is as far from it.
LEVELS = {"ycrcb": 0.9, "hsv": 0.7, "lab": 2.6}
LEVELS_BACK = {"ycrcb": 0.51, "hsv": 1.01, "lab": 2.0}
MEAN_LEVELS = {"ycrcb": 0.35, "hsv": 0.35, "lab": 0.45}


def apply(picture, *stages, color="rgb"):
    chain = Chain(input=ImageSpec(color=color), stages=stages)
    return chain.apply(NumpyPrimitives(), picture[None])[0].astype(np.float64)


def difference(actual, expected, space):
    """Per channel; hue is a circle of 180 levels."""
    found = np.abs(actual - expected)
    if space == "hsv":
        found[..., 0] = np.minimum(found[..., 0], 180 - found[..., 0])
    return found


@pytest.fixture(params=["photo", "noise"])
def picture(request, photo, noise):
    return photo if request.param == "photo" else noise(101, 203)


@pytest.mark.parametrize("space", SPACES)
def test_a_space_is_that_of_opencv_in_uint8(picture, space):
    found = difference(apply(picture, Color(to=space)), cv2.cvtColor(picture, THERE[space]), space)
    assert found.max() <= LEVELS[space]
    assert found.mean() <= MEAN_LEVELS[space]


@pytest.mark.parametrize("space", SPACES)
def test_the_way_back_is_that_of_opencv_in_uint8(noise, space):
    picture = noise(101, 203)
    if space == "hsv":
        picture[..., 0] %= 180
    expected = cv2.cvtColor(picture, BACK[space])
    found = np.abs(apply(picture, Color(to="rgb"), color=space) - expected)
    assert found.max() <= LEVELS_BACK[space]
    assert found.mean() <= MEAN_LEVELS[space]


@pytest.mark.parametrize(("space", "levels"), [("ycrcb", 0.01), ("hsv", 0.001), ("lab", 0.03)])
def test_the_way_back_is_that_of_opencv_in_float32(noise, space, levels):
    picture = noise(101, 203)
    # OpenCV's float32 has hue in degrees, L in 0..100, a and b around 0, and all else in 0..1,
    # where no colour is 0.5 and not 128 / 255.
    units = {
        "ycrcb": (picture - [0, 0.5, 0.5]) / 255,
        "hsv": picture * [2, 1 / 255, 1 / 255] % [360, 2, 2],
        "lab": picture * [100 / 255, 1, 1] - [0, 128, 128],
    }
    expected = cv2.cvtColor(units[space].astype(np.float32), BACK[space]) * 255
    found = apply(picture, Color(to="rgb"), color=space) - np.clip(expected, 0, 255)
    assert np.abs(found).max() <= levels


def test_lab_is_that_of_skimage_in_float64(picture):
    expected = rgb2lab(picture) * [255 / 100, 1, 1] + [0, 128, 128]
    # skimage rounds its coefficients in other places.
    assert np.abs(apply(picture, Color(to="lab")) - expected).max() <= 0.006


def test_hsv_is_that_of_skimage_in_float64(picture):
    expected = rgb2hsv(picture) * [180, 255, 255]
    found = difference(apply(picture, Color(to="hsv")), expected, "hsv")
    assert found.max() <= 1e-4


def test_colours_that_everyone_knows():
    colors = {
        "red": (255, 0, 0),
        "green": (0, 255, 0),
        "blue": (0, 0, 255),
        "white": (255, 255, 255),
        "grey": (119, 119, 119),
        "black": (0, 0, 0),
    }
    picture = np.array([list(colors.values())], np.uint8)
    hsv = dict(zip(colors, apply(picture, Color(to="hsv"))[0].tolist(), strict=True))
    assert hsv == {
        "red": [0, 255, 255],
        "green": [60, 255, 255],
        "blue": [120, 255, 255],
        "white": [0, 0, 255],
        "grey": [0, 0, 119],
        "black": [0, 0, 0],
    }
    lab = apply(picture, Color(to="lab"))[0]
    # CIE L*a*b* of sRGB's red is 53.24, 80.09, 67.20.
    assert lab[0] == pytest.approx([53.24 * 2.55, 80.09 + 128, 67.20 + 128], abs=0.02)
    assert lab[3:, 1:] == pytest.approx(np.full((3, 2), 128), abs=0.01)
    assert lab[[3, 5], 0] == pytest.approx([255, 0], abs=1e-3)
    ycrcb = apply(picture, Color(to="ycrcb"))[0]
    # Pure red would be 255.4 and is clipped.
    assert ycrcb[0] == pytest.approx([76.245, 255, 84.998], abs=1e-3)
    assert ycrcb[4] == pytest.approx([119, 128, 128], abs=1e-3)


@pytest.mark.parametrize(("space", "levels"), [("ycrcb", 0.25), ("hsv", 1e-3), ("lab", 0.01)])
def test_there_and_back_gives_the_picture(picture, space, levels):
    # OpenCV's coefficients for YCrCb have three digits, and pure colours are clipped.
    back = apply(picture, Color(to=space), Color(to="rgb"))
    assert np.abs(back - picture).max() <= levels


@pytest.mark.parametrize("space", SPACES)
def test_bgr_is_read_and_written_backwards(noise, space):
    picture = noise(7, 5)
    of_rgb = apply(picture, Color(to=space))
    of_bgr = apply(picture[..., ::-1].copy(), Color(to=space), color="bgr")
    assert np.array_equal(of_rgb, of_bgr)
    rgb, bgr = (apply(picture, Color(to=to), color=space) for to in ("rgb", "bgr"))
    assert np.array_equal(rgb, bgr[..., ::-1])


@pytest.mark.parametrize("space", SPACES)
def test_grey_has_no_colour(space):
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    result = apply(picture, Color(to=space), color="grey")
    neutral = {"ycrcb": (1, 128), "hsv": (0, 0), "lab": (1, 128)}[space]
    assert np.abs(result[..., neutral[0]] - neutral[1]).max() <= 0.01
    back = apply(picture, Color(to=space), Color(to="grey"), color="grey")
    assert np.array_equal(back, picture)


@pytest.mark.parametrize("space", SPACES)
def test_grey_of_a_space_is_that_of_its_rgb(photo, space):
    rgb = apply(photo, Color(to=space), Color(to="rgb"))
    expected = cv2.cvtColor(np.floor(rgb + 0.5).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    result = apply(photo, Color(to=space), Color(to="grey"))
    assert np.array_equal(result[..., 0], expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (31, 47)])
@pytest.mark.parametrize("space", SPACES)
def test_engines_agree_on_a_space(engine, noise, space, size):
    picture = noise(*size)
    image = ImageSpec(height=size[0], width=size[1])
    there = Chain(input=image, stages=(Color(to=space),))
    found = difference(engine(there, picture)[0], apply(picture, Color(to=space)), space)
    assert found.max() <= 1e-3
    back = Chain(input=image.replace(color=space), stages=(Color(to="rgb"),))
    expected = apply(picture, Color(to="rgb"), color=space)
    assert np.abs(engine(back, picture)[0] - expected).max() <= 1e-3


def test_litert_agrees_on_all_spaces(litert, noise):
    picture = noise(5, 6)
    image = ImageSpec(height=5, width=6)
    # One after the other, as converting to LiteRT takes seconds.
    chain = Chain(input=image, stages=tuple(Color(to=space) for space in (*SPACES, "rgb")))
    expected = apply(picture, *chain.stages)
    assert np.abs(litert(chain, picture)[0] - expected).max() <= 1e-3


def test_hue_wraps_at_red_and_stays_below_180():
    # One level of blue more than of green, and less: -30 / 255 levels of hue, and 30 / 255.
    picture = np.array([[(255, 0, 1), (255, 1, 0), (255, 0, 0)]], np.uint8)
    hue = apply(picture, Color(to="hsv"))[0, :, 0]
    assert hue == pytest.approx([180 - 30 / 255, 30 / 255, 0], abs=1e-4)


@pytest.mark.parametrize("to", ["rgb", "bgr", "grey", *SPACES])
def test_the_conversions_keep_the_rules_of_stages(to):
    check_stage(Color(to=to), ImageSpec(color="bgr" if to == "rgb" else "rgb"))
    for color in ("rgba", "i420", "hsv", "lab"):
        if color != to:
            check_stage(Color(to=to), ImageSpec(color=color, height=6, width=4))


def test_linear_light_is_refused():
    with pytest.raises(RecipeError, match="linear light") as caught:
        Chain(input=ImageSpec(), stages=(Linear(), Color(to="hsv")))
    assert str(caught.value) == (
        "preprocess[1]: color needs pictures as screens show them, got linear light; put srgb first"
    )


def test_other_numbers_than_levels_are_refused():
    with pytest.raises(RecipeError, match="values in") as caught:
        Chain(input=ImageSpec(), stages=(Scale(), Color(to="lab")))
    assert str(caught.value) == (
        "preprocess[1]: color needs values in 0..255, got '0..1'; "
        "put this stage before normalize and scale"
    )


@pytest.mark.parametrize("alpha", ["rgba", "bgra"])
@pytest.mark.parametrize("to", ["rgb", "bgr", "grey", "hsv"])
def test_alpha_is_dropped(engine, noise, alpha, to):
    picture = np.concatenate((noise(5, 4), noise(5, 4)[..., :1]), axis=2)
    chain = Chain(input=ImageSpec(height=5, width=4, color=alpha), stages=(Color(to=to),))
    order = alpha.removesuffix("a")
    opaque = picture[..., :3]
    expected = opaque if order == to else apply(opaque, Color(to=to), color=order)
    assert np.abs(engine(chain, picture)[0] - expected).max() <= 1e-3
