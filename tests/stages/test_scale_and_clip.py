"""The numbers that networks take: 0..1, -1..1, any factor and offset, and bounds."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.clip import Clip
from edgeprep.stages.color import Color
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

FOUR = (0.4, 0.5, 0.6, 0.7)


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def message_of(*stages, color="rgb"):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(color=color), stages=stages)
    return str(caught.value)


@pytest.mark.parametrize("stages", [(Scale(to="-1..1"),), (Scale(), Scale(to="-1..1"))])
def test_black_is_brought_to_minus_1_and_white_to_1(engine, stages):
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    chain = chain_of(picture, *stages, color="grey")
    result = engine(chain, picture)[0]
    assert chain.output.range == "-1..1"
    # One unit in the last place, where an engine multiplies and adds in one step.
    assert np.abs(result - (picture / 127.5 - 1)).max() <= 3e-7


def test_a_factor_and_an_offset_are_taken_as_they_are(engine, noise):
    picture = noise(5, 7)
    chain = chain_of(picture, Scale(factor=-0.5, offset=3))
    assert np.array_equal(engine(chain, picture)[0], picture * np.float32(-0.5) + 3)
    assert chain.output.range == "normalized"


def test_an_offset_alone_only_shifts(engine, noise):
    picture = noise(5, 7)
    result = engine(chain_of(picture, Scale(offset=-128)), picture)[0]
    assert np.array_equal(result, picture.astype(np.float32) - 128)


def test_a_scale_that_says_nothing_is_still_0_to_1(noise):
    picture = noise(5, 7)
    F = NumpyPrimitives()
    nothing, said = (
        chain_of(picture, stage).apply(F, picture[None]) for stage in (Scale(), Scale(to="0..1"))
    )
    assert np.array_equal(nothing, said)
    assert chain_of(picture, Scale()).output.range == "0..1"


def test_channels_are_swapped_in_any_range(engine, noise):
    picture = noise(5, 7)
    swapped = engine(chain_of(picture, Scale(to="-1..1"), Color(to="bgr")), picture)
    assert np.array_equal(swapped[..., ::-1], engine(chain_of(picture, Scale(to="-1..1")), picture))


def test_clip_holds_levels_between_its_bounds(engine):
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    result = engine(chain_of(picture, Clip(low=16, high=235.5), color="grey"), picture)
    expected = [min(max(level, 16), 235.5) for level in range(256)]
    assert result.reshape(-1).tolist() == expected


def test_clip_takes_outliers_of_normalized_pictures(engine, noise):
    picture = noise(5, 7)
    normalize = Normalize(mean=(0.5,) * 3, std=(0.1,) * 3)
    result = engine(chain_of(picture, normalize, Clip(low=-2, high=2)), picture)[0]
    assert np.abs(result - np.clip((picture / 255 - 0.5) / 0.1, -2, 2)).max() <= 1e-5
    assert (result.min(), result.max()) == (-2, 2)


def test_normalize_takes_four_channels_and_one(engine, noise):
    picture = np.concatenate((noise(5, 7), noise(5, 7)[..., :1]), axis=2)
    chain = chain_of(picture, Normalize(mean=FOUR, std=FOUR[::-1]), color="rgba")
    expected = (picture / 255 - np.array(FOUR)) / np.array(FOUR[::-1])
    assert np.abs(engine(chain, picture)[0] - expected).max() <= 1e-5
    grey = picture[..., :1]
    chain = chain_of(grey, Normalize(mean=(0.5,), std=(0.25,)), color="grey")
    assert np.abs(engine(chain, grey)[0] - (grey / 255 - 0.5) / 0.25).max() <= 1e-5


def test_litert_agrees_on_scale_and_clip(litert, noise):
    picture = noise(5, 7)
    chain = chain_of(picture, Scale(to="-1..1"), Clip(low=-0.5, high=0.75), Scale(factor=2))
    expected = np.clip(picture / 127.5 - 1, -0.5, 0.75) * 2
    assert np.abs(litert(chain, picture)[0] - expected).max() <= 1e-6


@pytest.mark.parametrize(
    "stage",
    [
        Scale(to="-1..1"),
        Scale(factor=2.0, offset=-1.0),
        Clip(low=0, high=1),
        Normalize(mean=FOUR, std=FOUR),
    ],
    ids=["-1..1", "factor", "clip", "four channels"],
)
def test_the_stages_of_numbers_keep_the_rules(stage):
    check_stage(stage)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"to": "0..1", "factor": 2.0},
            "factor: must be absent where to is given, '0..1', got 2.0",
        ),
        ({"to": "-1..1", "offset": 1}, "offset: must be absent where to is given, '-1..1', got 1"),
        ({"factor": 0}, "factor: must not be 0, which leaves nothing of a picture, got 0"),
        ({"factor": float("nan")}, "factor: must be finite, got nan"),
        ({"offset": float("inf")}, "offset: must be finite, got inf"),
        ({"factor": 1e300}, "factor: must be -1000000 to 1000000, got 1e+300"),
        ({"offset": -1e7}, "offset: must be -1000000 to 1000000, got -10000000.0"),
    ],
)
def test_a_scale_without_meaning_is_refused(fields, message):
    with pytest.raises(RecipeError, match="must") as caught:
        Scale(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (2, 2.0, "high: must be above low, 2, got 2.0"),
        (float("-inf"), 1, "low: must be finite, got -inf"),
        (0, float("nan"), "high: must be finite, got nan"),
    ],
)
def test_bounds_without_meaning_are_refused(low, high, message):
    with pytest.raises(RecipeError, match="must") as caught:
        Clip(low=low, high=high)
    assert str(caught.value) == message


def test_bounds_outside_the_values_are_refused():
    assert message_of(Clip(low=-1, high=1)) == (
        "preprocess[0]: clip needs low to be within the values that arrive, 0..255, got -1"
    )
    assert message_of(Scale(to="-1..1"), Clip(low=-1, high=2)) == (
        "preprocess[1]: clip needs high to be within the values that arrive, -1..1, got 2"
    )


def test_numbers_are_scaled_once():
    again = "; put this stage before normalize and scale"
    assert message_of(Scale(to="-1..1"), Scale()) == (
        f"preprocess[1]: scale needs values in 0..255, got '-1..1'{again}"
    )
    assert message_of(Scale(to="-1..1"), Scale(to="-1..1")) == (
        f"preprocess[1]: scale needs values in 0..255 or 0..1, got '-1..1'{again}"
    )
    assert message_of(Scale(factor=2), Scale(offset=1)) == (
        f"preprocess[1]: scale needs values in 0..255 or 0..1 or -1..1, got 'normalized'{again}"
    )
    assert message_of(Scale(to="-1..1"), Normalize(mean=(0.5,) * 3, std=(0.5,) * 3)) == (
        f"preprocess[1]: normalize needs values in 0..255 or 0..1, got '-1..1'{again}"
    )
