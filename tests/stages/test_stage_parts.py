"""What plugins may build stages of: enough for one that is like the built-in ones."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import pytest

from edgeprep import stage_parts
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

NUMPY = NumpyPrimitives()
WEIGHTS = (1.0, 4.0, 6.0, 4.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Ridges(Stage):
    """A plugin's stage: where brightness is above the mean of its surroundings."""

    name: ClassVar[str] = "ridges"

    def output(self, image):
        stage_parts.need_luma(image)
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        def above_mean(luma):
            mean = F.floor(F.multiply(stage_parts.smooth(F, luma, WEIGHTS), 1 / 256))
            return F.multiply(F.greater(luma, mean), 255.0)

        return stage_parts.change_luma(F, x, image, above_mean)


def test_a_stage_of_public_parts_conforms():
    check_stage(Ridges())


def test_a_stage_of_public_parts_is_what_opencv_gives(photo):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    weights = np.array(WEIGHTS)
    mean = cv2.sepFilter2D(grey.astype(np.float64), -1, weights, weights)
    expected = np.where(grey > np.floor(mean / 256), 255, 0)
    ridges = Ridges().apply(NUMPY, grey[None, ..., None], ImageSpec(color="grey"))
    assert np.array_equal(ridges[0, ..., 0], expected)


def test_it_refuses_pictures_in_the_words_of_the_built_in_stages():
    with pytest.raises(RecipeError, match="hsv") as caught:
        Ridges().output(ImageSpec(color="hsv", dtype="float32"))
    assert str(caught.value) == (
        "needs rgb or bgr or grey or ycrcb or lab pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )


@pytest.mark.parametrize(
    "name", sorted({*stage_parts.__all__} - {"COLORS", "Border", "Level", "Sigma"})
)
def test_every_function_says_what_it_gives(name):
    assert getattr(stage_parts, name).__doc__
