"""Pictures of files are brought to what a camera's bundle takes; other arrays are refused."""

import cv2
import numpy as np
import pytest

from edgeprep.errors import ShapeError
from edgeprep.runtime import from_rgb
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.picture import check_picture
from edgeprep.tensors import ImageSpec

LAYOUTS = ("nv12", "i420")
TO_RGB = {"nv12": cv2.COLOR_YUV2RGB_NV12, "i420": cv2.COLOR_YUV2RGB_I420}


@pytest.fixture
def picture():
    """Noise of 2 × 2 pixels each, so that half the size loses no colour; `(12, 16, 3)`."""
    little = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return little.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("color", LAYOUTS)
def test_opencv_reads_the_planes_back(picture, color):
    planes = from_rgb(picture, ImageSpec(color=color))
    assert (planes.shape, planes.dtype) == ((18, 16, 1), np.uint8)
    # Two roundings of a level and a half of colour each, and OpenCV's own.
    back = cv2.cvtColor(planes, TO_RGB[color]).astype(int)
    assert np.abs(back - picture).max() <= 3


@pytest.mark.parametrize("yuv_range", ["limited", "full"])
@pytest.mark.parametrize("color", LAYOUTS)
def test_the_stage_reads_the_planes_back(picture, color, yuv_range):
    image = ImageSpec(color=color, yuv_range=yuv_range)
    back = Chain(input=image, stages=(Color(to="rgb"),)).prepare(from_rgb(picture, image))
    assert np.abs(back[0].astype(int) - picture).max() <= 3


def test_brightness_is_that_of_opencv(picture):
    noise = np.random.default_rng(4).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    planes = from_rgb(noise, ImageSpec(color="i420"))
    expected = cv2.cvtColor(noise, cv2.COLOR_RGB2YUV_I420)
    assert np.abs(planes[:12, :, 0].astype(int) - expected[:12]).max() <= 1


def test_the_colour_of_four_pixels_is_their_mean():
    red_and_cyan = np.array([[(255, 0, 0), (0, 255, 255)]] * 2, np.uint8)
    planes = from_rgb(red_and_cyan, ImageSpec(color="nv12"))
    assert planes[2, :, 0].tolist() == [128, 128]


@pytest.mark.parametrize("size", [(1, 1), (5, 4), (4, 5)])
def test_an_odd_size_repeats_its_last_row_and_column(picture, size):
    odd = picture[: size[0], : size[1]]
    even = odd[np.arange(size[0] + size[0] % 2).clip(max=size[0] - 1)]
    even = even[:, np.arange(size[1] + size[1] % 2).clip(max=size[1] - 1)]
    image = ImageSpec(color="nv12")
    assert np.array_equal(from_rgb(odd, image), from_rgb(even, image))


def test_alpha_of_a_file_is_opaque(picture):
    rgba = from_rgb(picture, ImageSpec(color="rgba"))
    bgra = from_rgb(picture, ImageSpec(color="bgra"))
    assert np.array_equal(rgba, cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA))
    assert np.array_equal(bgra, cv2.cvtColor(picture, cv2.COLOR_RGB2BGRA))


def test_planes_that_fit_are_taken_as_they_are():
    planes = np.zeros((6, 4, 1), np.uint8)
    assert check_picture(planes, ImageSpec(height=4, width=4, color="nv12")) is planes
    assert check_picture(planes, ImageSpec(color="i420")) is planes


FREE = "(height * 3 / 2, width, 1), nv12 with even height and width"
REFUSED = {
    "too few rows": ((4, 4, 1), "(6, 4, 1), nv12 with even height and width", ""),
    "too few rows of any": ((4, 4, 1), FREE, ""),
    "odd width": ((6, 3, 1), FREE, ""),
    "pixels": (
        (6, 4, 3),
        FREE,
        "; this looks like RGB, which edgeprep.runtime.from_rgb brings to planes",
    ),
    "no last axis": ((6, 4), FREE, "; a picture of one channel has a last axis of length 1"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_other_arrays_than_planes_are_refused(case):
    shape, rule, hint = REFUSED[case]
    size = {} if rule == FREE else {"height": 4, "width": 4}
    with pytest.raises(ShapeError, match="picture") as caught:
        check_picture(np.zeros(shape, np.uint8), ImageSpec(color="nv12", **size))
    assert str(caught.value) == f"picture: must have shape {rule}, got {shape}{hint}"
