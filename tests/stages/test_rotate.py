"""Quarters of a turn."""

import cv2
import numpy as np
import pytest

from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.rotate import Rotate
from edgeprep.tensors import ImageSpec

CODES = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def test_the_left_edge_comes_to_the_top():
    picture = np.array([[[1], [2], [3]], [[4], [5], [6]]], np.uint8)
    chain = Chain(input=ImageSpec(color="grey"), stages=(Rotate(clockwise=90),))
    assert chain.prepare(picture)[0, ..., 0].tolist() == [[4, 1], [5, 2], [6, 3]]


@pytest.mark.parametrize("clockwise", CODES)
def test_an_engine_turns_as_opencv(engine, noise, clockwise):
    picture = noise(13, 8)
    stages = (Rotate(clockwise=clockwise), DType())
    chain = Chain(input=ImageSpec(height=13, width=8), stages=stages)
    expected = cv2.rotate(picture, CODES[clockwise])
    assert chain.output.shape() == (1, *expected.shape)
    assert np.array_equal(engine(chain, picture)[0], expected)


def test_litert_turns_as_opencv(litert, noise):
    picture = noise(13, 8)
    stages = (Rotate(clockwise=90), Rotate(clockwise=180), DType())
    chain = Chain(input=ImageSpec(height=13, width=8), stages=stages)
    assert np.array_equal(litert(chain, picture)[0], cv2.rotate(picture, CODES[270]))


@pytest.mark.parametrize("clockwise", CODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_back_and_forth_is_not_at_all(noise, clockwise, size):
    picture = noise(*size)
    stages = (Rotate(clockwise=clockwise), Rotate(clockwise=360 - clockwise))
    chain = Chain(input=ImageSpec(), stages=stages)
    assert np.array_equal(chain.prepare(picture)[0], picture)


def test_a_free_size_stays_free_and_half_a_size_swaps():
    assert Rotate(clockwise=90).output(ImageSpec(height=7)) == ImageSpec(width=7)
    assert Rotate(clockwise=180).output(ImageSpec(height=7)) == ImageSpec(height=7)
