"""The letterbox by its own name: what `resize` does in that mode."""

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()


@pytest.mark.parametrize(
    "options", [{}, {"fill": 0}, {"like": "opencv"}, {"method": "area"}, {"antialias": False}]
)
@pytest.mark.parametrize("size", [(37, 61), (61, 37), (1, 1), (1, 300)])
def test_it_is_the_resize_of_that_mode(noise, options, size):
    picture = noise(*size)[None]
    same = Resize(size=(40, 56), mode="letterbox", **options)
    results = [
        stage.apply(NUMPY, picture, ImageSpec())
        for stage in (Letterbox(size=(40, 56), **options), same)
    ]
    assert np.array_equal(*results)


def opencv_letterbox(picture, height, width):
    """Ultralytics' LetterBox, in its own words (auto=False, scaleup=True, center=True)."""
    rows, columns = picture.shape[:2]
    ratio = min(height / rows, width / columns)
    new = round(columns * ratio), round(rows * ratio)
    dw, dh = (width - new[0]) / 2, (height - new[1]) / 2
    resized = cv2.resize(picture, new, interpolation=cv2.INTER_LINEAR)
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    border = cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(resized, top, bottom, left, right, border, value=(114, 114, 114))


@pytest.mark.parametrize("size", [(320, 320), (193, 224), (640, 640)])
def test_it_is_what_detectors_are_trained_with(photo, size):
    chain = Chain(input=ImageSpec(), stages=(Letterbox(size=size, like="opencv"),))
    expected = opencv_letterbox(photo, *size).astype(np.float32)
    # OpenCV's uint8 has 11 bits of fraction.
    assert np.abs(chain.apply(NUMPY, photo[None])[0] - expected).max() <= 0.85


def test_what_it_is_made_of_is_in_its_fields():
    stage = Letterbox(size=(40, 56), like="opencv")
    assert stage.antialias is False
    assert stage == Letterbox(size=(40, 56), like="opencv", antialias=False)
    assert Letterbox(size=(40, 56)).antialias is True


def test_borders_of_grey_need_pictures_of_brightness():
    with pytest.raises(RecipeError, match="needs") as caught:
        Letterbox(size=(8, 8)).output(ImageSpec(color="lab"))
    assert str(caught.value) == (
        "needs rgb or bgr or grey pictures, got 'lab'; put color with to = 'rgb' before this stage"
    )
