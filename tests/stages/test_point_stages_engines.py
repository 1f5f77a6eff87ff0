"""Stages that work pixel by pixel, and the geometry, agree in every engine with hand arithmetic."""

import numpy as np
import pytest

from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
# One float32 multiplication and one addition, on values of up to a few units.
POINT_TOLERANCE = 1e-5


def chain_of(picture, *stages, color="rgb"):
    image = ImageSpec(height=picture.shape[0], width=picture.shape[1], color=color)
    return Chain(input=image, stages=stages)


def grey_by_integers(picture):
    """OpenCV's formula for RGB, in whole numbers."""
    red, green, blue = (picture[..., channel].astype(np.int64) for channel in range(3))
    return (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15


def test_normalize_takes_statistics_in_0_to_1(engine, noise):
    picture = noise(13, 17)
    chain = chain_of(picture, Normalize(mean=tuple(MEAN), std=tuple(STD)))
    expected = (picture / 255.0 - MEAN) / STD
    assert np.abs(engine(chain, picture)[0] - expected).max() <= POINT_TOLERANCE


def test_normalize_takes_statistics_in_0_to_255(engine, noise):
    picture = noise(13, 17)
    stage = Normalize(mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4), unit="0..255")
    expected = (picture - np.array([123.7, 116.3, 103.5])) / np.array([58.4, 57.1, 57.4])
    result = engine(chain_of(picture, stage), picture)[0]
    assert np.abs(result - expected).max() <= POINT_TOLERANCE


def test_normalize_after_scale_is_normalize(engine, noise):
    picture = noise(13, 17)
    chain = chain_of(picture, Scale(), Normalize(mean=tuple(MEAN), std=tuple(STD)))
    expected = (picture / 255.0 - MEAN) / STD
    assert np.abs(engine(chain, picture)[0] - expected).max() <= POINT_TOLERANCE


def test_scale_divides_by_255(engine, noise):
    picture = noise(13, 17)
    result = engine(chain_of(picture, Scale()), picture)[0]
    assert np.abs(result - picture / 255.0).max() <= 1e-7


def test_grey_is_whole_and_exact(engine, noise):
    picture = noise(31, 47)
    result = engine(chain_of(picture, Color(to="grey")), picture)
    assert result.shape == (1, 31, 47, 1)
    assert np.array_equal(result[0, ..., 0], grey_by_integers(picture))


def test_grey_of_bgr_reads_the_channels_backwards(engine, noise):
    picture = noise(31, 47)
    result = engine(chain_of(picture, Color(to="grey"), color="bgr"), picture)
    assert np.array_equal(result[0, ..., 0], grey_by_integers(picture[..., ::-1]))


def test_grey_of_a_resized_picture_rounds_first(engine, noise):
    picture = noise(31, 47)
    resize = Resize(size=(16, 11))
    smooth = engine(chain_of(picture, resize), picture)[0]
    result = engine(chain_of(picture, resize, Color(to="grey")), picture)[0, ..., 0]
    assert np.array_equal(result, grey_by_integers(np.floor(smooth + 0.5)))


def test_swapping_colours_reverses_the_channels(engine, noise):
    picture = noise(13, 17)
    result = engine(chain_of(picture, Color(to="bgr"), DType()), picture)
    assert np.array_equal(result[0], picture[..., ::-1])


def test_grey_to_rgb_repeats_the_channel(engine, noise):
    picture = noise(13, 17)[..., :1]
    result = engine(chain_of(picture, Color(to="rgb"), DType(), color="grey"), picture)
    assert np.array_equal(result[0], np.repeat(picture, 3, axis=2))


def test_layout_moves_the_channels_first(engine, noise):
    picture = noise(13, 17)
    result = engine(chain_of(picture, DType(), Layout()), picture)
    assert np.array_equal(result[0], picture.transpose(2, 0, 1))


def test_crop_and_pad_move_whole_pixels(engine, noise):
    picture = noise(14, 17)
    chain = chain_of(picture, CenterCrop(size=(11, 9)), Pad(top=1, left=2, right=3, value=7))
    # floor((14 - 11) / 2) = 1 and floor((17 - 9) / 2) = 4
    expected = np.full((12, 14, 3), 7)
    expected[1:, 2:11] = picture[1:12, 4:13]
    assert np.array_equal(engine(chain, picture)[0], expected)


def test_a_whole_chain_agrees_with_the_reference_in_float64(engine, noise):
    picture = noise(37, 53)
    chain = chain_of(
        picture,
        Resize(size=37, mode="short"),
        CenterCrop(size=(37, 37)),
        Color(to="bgr"),
        Normalize(mean=tuple(MEAN), std=tuple(STD)),
        Layout(),
    )
    expected = (picture[:, 8:45, ::-1] / 255.0 - MEAN) / STD
    result = engine(chain, picture)
    assert result.shape == (1, 3, 37, 37)
    assert np.abs(result[0] - expected.transpose(2, 0, 1)).max() <= POINT_TOLERANCE


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_the_smallest_pictures_go_through(engine, noise, size):
    picture = noise(*size)
    chain = chain_of(picture, Resize(size=(3, 2)), Color(to="grey"), Scale(), Layout())
    assert engine(chain, picture).shape == (1, 1, 3, 2)
