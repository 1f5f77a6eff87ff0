"""Mirrored pictures."""

import cv2
import numpy as np
import pytest

from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.flip import Flip
from edgeprep.tensors import ImageSpec

# OpenCV's code of each axis.
CODES = {"horizontal": 1, "vertical": 0}


def test_left_and_right_are_swapped_by_horizontal():
    picture = np.array([[[1], [2], [3]], [[4], [5], [6]]], np.uint8)
    chain = Chain(input=ImageSpec(color="grey"), stages=(Flip(axis="horizontal"),))
    assert chain.prepare(picture)[0, ..., 0].tolist() == [[3, 2, 1], [6, 5, 4]]


@pytest.mark.parametrize("axis", CODES)
def test_an_engine_mirrors_as_opencv(engine, noise, axis):
    picture = noise(13, 8)
    chain = Chain(input=ImageSpec(height=13, width=8), stages=(Flip(axis=axis), DType()))
    assert np.array_equal(engine(chain, picture)[0], cv2.flip(picture, CODES[axis]))


def test_litert_mirrors_as_opencv(litert, noise):
    picture = noise(13, 8)
    stages = (Flip(axis="horizontal"), DType(), Flip(axis="vertical"))
    chain = Chain(input=ImageSpec(height=13, width=8), stages=stages)
    assert np.array_equal(litert(chain, picture)[0], cv2.flip(picture, -1))


@pytest.mark.parametrize("axis", CODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_twice_is_not_at_all(noise, axis, size):
    picture = noise(*size)
    chain = Chain(input=ImageSpec(), stages=(Flip(axis=axis), Flip(axis=axis)))
    assert np.array_equal(chain.prepare(picture)[0], picture)
