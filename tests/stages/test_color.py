"""Grey is OpenCV's, in every pixel."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.tensors import ImageSpec

GREY_OF_RGB = Chain(input=ImageSpec(), stages=(Color(to="grey"),))
GREY_OF_BGR = Chain(input=ImageSpec(color="bgr"), stages=(Color(to="grey"),))


def test_grey_of_a_photograph_is_opencv_grey(photo):
    result = GREY_OF_RGB.prepare(photo)[0, ..., 0]
    assert np.array_equal(result, cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_grey_of_any_picture_is_opencv_grey(picture):
    result = GREY_OF_BGR.prepare(picture)[0, ..., 0]
    assert np.array_equal(result, cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def test_grey_of_pure_colours_is_known():
    # (9798 · 255 + 16384) >> 15 = 76, (19235 · 255 + 16384) >> 15 = 150, … = 29
    picture = np.eye(3, dtype=np.uint8)[None] * np.uint8(255)
    assert GREY_OF_RGB.prepare(picture)[0, 0, :, 0].tolist() == [76, 150, 29]


def test_swapping_twice_gives_the_picture_back(noise):
    there_and_back = Chain(input=ImageSpec(), stages=(Color(to="bgr"), Color(to="rgb")))
    picture = noise(7, 5)
    assert np.array_equal(there_and_back.prepare(picture)[0], picture)
