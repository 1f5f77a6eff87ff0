"""Grey world takes out a tint, leaves black and grey alone, and balances each picture alone."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.white_balance import WhiteBalance
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

TOLERANCE = 1e-3


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def grey_world(picture):
    """One channel at a time, float64."""
    means = [float(picture[..., channel].mean(dtype=np.float64)) for channel in range(3)]
    grey = sum(means) / 3
    factors = [grey / mean if mean else 0.0 for mean in means]
    return np.minimum(picture * np.array(factors), 255)


def balanced(picture):
    return chain_of(picture, WhiteBalance()).apply(NumpyPrimitives(), picture[None])[0]


def test_every_channel_gets_the_mean_of_all(engine, photo):
    picture = photo[:64:3, :80:3]
    result = engine(chain_of(picture, WhiteBalance()), picture)[0]
    assert np.abs(result - grey_world(picture)).max() <= TOLERANCE


def test_a_tint_goes_by_hand(engine):
    # Means 20, 40 and 60, of all 40: factors 2, 1 and 2/3.
    picture = np.array([[(10, 20, 30), (30, 60, 90)]], np.uint8)
    result = engine(chain_of(picture, WhiteBalance()), picture)[0]
    assert result == pytest.approx(np.array([[(20,) * 3, (60,) * 3]]), abs=TOLERANCE)


def test_what_becomes_brighter_than_white_is_white():
    picture = np.array([[(100, 255, 200), (0, 255, 200)]], np.uint8)
    assert balanced(picture)[0, 0, 0] == 255


@pytest.mark.parametrize("size", [(1, 1), (9, 11)])
def test_black_stays_black(engine, size):
    picture = np.zeros((*size, 3), np.uint8)
    assert not engine(chain_of(picture, WhiteBalance()), picture).any()


def test_a_channel_without_light_stays_black(engine, noise):
    picture = noise(9, 11)
    picture[..., 1] = 0
    result = engine(chain_of(picture, WhiteBalance()), picture)[0]
    assert not result[..., 1].any()
    assert np.abs(result - grey_world(picture)).max() <= TOLERANCE


def test_a_grey_picture_stays_as_it_is(noise):
    picture = np.repeat(noise(9, 11)[..., :1], 3, axis=2)
    assert np.abs(balanced(picture) - picture).max() <= TOLERANCE


def test_a_dark_picture_is_balanced_like_a_bright_one():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[50, 50] = (1, 2, 3)
    assert balanced(picture)[50, 50] == pytest.approx([2, 2, 2], abs=TOLERANCE)


def test_large_pictures_lose_nothing_in_the_sum(noise):
    picture = np.tile(noise(100, 100), (15, 20, 1))
    assert np.abs(balanced(picture) - grey_world(picture)).max() <= TOLERANCE


def test_each_picture_of_a_batch_is_balanced_alone(noise):
    both = np.stack((noise(9, 11), noise(9, 11)[::-1] // 2))
    chain = Chain(input=ImageSpec(), stages=(WhiteBalance(),))
    result = chain.apply(NumpyPrimitives(), both)
    assert np.array_equal(result, np.stack([balanced(picture) for picture in both]))


def test_litert_agrees_on_white_balance(litert, noise):
    picture = noise(9, 11)
    picture[..., 2] //= 3
    result = litert(chain_of(picture, WhiteBalance()), picture)[0]
    assert np.abs(result - grey_world(picture)).max() <= TOLERANCE


def test_white_balance_keeps_the_rules_of_stages():
    check_stage(WhiteBalance())


@pytest.mark.parametrize("to", ["grey", "hsv"])
def test_colours_without_a_tint_are_refused(to):
    with pytest.raises(RecipeError, match="white-balance") as caught:
        Chain(input=ImageSpec(), stages=(Color(to=to), WhiteBalance()))
    assert str(caught.value) == (
        f"preprocess[1]: white-balance needs rgb or bgr pictures, got '{to}'; "
        "put color with to = 'rgb' before this stage"
    )
