"""Rotations by any angle."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.stats import kstest

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.random.rotate import RandomRotate, Rotated
from edgeprep.stages.rotate import Rotate
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()
UNLIKELY = 1e-6


def rotated(picture, clockwise, fill=0):
    height, width, _ = picture.shape
    chain = Chain(
        input=ImageSpec(height=height, width=width, color="rgb"),
        stages=(Rotated(clockwise=clockwise, fill=fill),),
    )
    return chain.apply(NUMPY, picture[None])[0]


def matrix(clockwise):
    """From places `(row, column)` around the middle of the result to those of the picture."""
    angle = np.deg2rad(clockwise)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def test_every_angle_is_as_likely():
    generator = np.random.default_rng(0)
    stage = RandomRotate(degrees=25, fill=7)
    found = [stage.draw(generator, ImageSpec(height=9, width=9)) for _ in range(2000)]
    angles = [step.clockwise for (step,) in found]
    assert kstest(angles, "uniform", (-25, 50)).pvalue > UNLIKELY
    assert {step.fill for (step,) in found} == {7}


def test_clockwise_is_clockwise():
    picture = np.zeros((3, 3, 3), np.uint8)
    picture[0, 1] = 200
    expected = np.zeros((3, 3, 3))
    expected[1, 2] = 200
    assert rotated(picture, 90) == pytest.approx(expected, abs=1e-3)


def test_an_eighth_of_a_turn_by_hand():
    # The pixel right of the middle comes from one that is 1 / sqrt(2) up and as much to the right:
    # of its square of four, 0.5 each way for the corner, and so on.
    picture = np.zeros((3, 3, 3), np.uint8)
    picture[0, 2] = 100
    near = 0.5**0.5
    assert rotated(picture, 45)[1, 2] == pytest.approx([100 * near * near] * 3, abs=1e-3)
    assert rotated(picture, 45)[1, 1] == pytest.approx([0] * 3, abs=1e-3)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_quarters_are_those_of_the_stage_rotate(noise, angle):
    picture = noise(17, 17)
    chain = Chain(input=ImageSpec(), stages=(Rotate(clockwise=angle),))
    assert rotated(picture, angle) == pytest.approx(chain.prepare(picture)[0], abs=1e-3)


@pytest.mark.parametrize("angle", [0, 360, -360])
def test_no_turn_and_whole_ones_leave_pictures_as_they_are(noise, angle):
    picture = noise(12, 7)
    # Sine of a whole turn is 2e-16, and may blend a little of what is beyond the edge.
    assert rotated(picture, angle, fill=9) == pytest.approx(picture, abs=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (5, 1), (2, 3), (31, 46), (64, 33)])
@pytest.mark.parametrize("angle", [-137.2, -10, 3.3, 45, 90, 171])
def test_rotations_are_those_of_scipy(noise, size, angle):
    picture = noise(*size)
    middle = (np.array(size) - 1) / 2
    offset = middle - matrix(angle) @ middle
    expected = np.stack(
        [
            affine_transform(
                channel, matrix(angle), offset, order=1, mode="grid-constant", cval=114.0
            )
            for channel in np.moveaxis(picture.astype(float), 2, 0)
        ],
        axis=2,
    )
    assert np.abs(rotated(picture, angle, fill=114) - expected).max() <= 1e-3


@pytest.mark.parametrize("angle", [-30, 12.5, 100])
def test_rotations_are_those_of_opencv(photo, angle):
    height, width, _ = photo.shape
    forth = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1.0)
    expected = cv2.warpAffine(
        photo, forth, (width, height), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114)
    )
    # It rounds the result. (OpenCV 4 found pixels to a 32nd, which was 8 levels off at edges.)
    assert np.abs(rotated(photo, angle, fill=114) - expected).max() <= 0.51


@pytest.mark.parametrize("angle", [7.7, -93])
def test_the_level_of_the_corners_is_the_fill(angle):
    picture = np.full((21, 34, 3), 60, np.uint8)
    assert rotated(picture, angle, fill=60) == pytest.approx(picture, abs=1e-3)
    assert rotated(picture, angle, fill=200)[0, 0] == pytest.approx([200] * 3, abs=1e-3)


@pytest.mark.parametrize("size", [(41, 60), (33, 33)])
@pytest.mark.parametrize("angle", [-140, 10, 90, 33])
def test_the_way_back_from_a_rotation(size, angle):
    height, width = size
    down, across = np.indices(size)
    # The third channel says where nothing of the fill is in it.
    picture = np.stack([across, down, np.zeros(size)], axis=-1).astype(np.uint8)
    found = rotated(picture, angle, fill=255)
    rows, columns = np.nonzero(found[..., 2] < 1e-3)
    assert len(rows) > 200
    stage = Rotated(clockwise=angle)
    (back,) = stage.backward(ImageSpec(height=height, width=width))
    centres = np.stack([columns, rows], axis=-1) + 0.5
    # The picture is a slope, which two neighbours keep.
    assert np.abs(back.points(centres) - (found[rows, columns, :2] + 0.5)).max() < 1e-3
    corners = [[0, 0], [width, height]]
    (forth,) = Rotated(clockwise=-angle).backward(ImageSpec(height=height, width=width))
    assert back.after(forth).points(corners) == pytest.approx(np.array(corners), abs=1e-9)


def test_a_rotation_keeps_the_range(noise):
    found = rotated(np.where(noise(40, 40) > 127, 255, 0).astype(np.uint8), 22.5, fill=255)
    assert found.min() >= 0
    assert found.max() <= 255 + 1e-3
