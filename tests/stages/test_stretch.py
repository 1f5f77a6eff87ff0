"""Contrast stretch between the percentiles that numpy finds."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.stretch import Stretch
from edgeprep.tensors import ImageSpec

# Of two float32 products and a quotient, in levels.
TOLERANCE = 1e-4
PERCENTILES = [(1.0, 99.0), (0.0, 100.0), (25.0, 75.0), (49.0, 51.0), (0.0, 0.5)]


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def stretched(picture, stage, color="rgb"):
    return chain_of(picture, stage, color=color).apply(NumpyPrimitives(), picture[None])[0]


def expected_of(picture, stage):
    """In float64, of values that are levels already or not."""
    levels = np.floor(picture + 0.5)
    if stage.per_channel:
        parts = [_expected(picture[..., at], levels[..., at], stage) for at in range(3)]
        return np.stack(parts, axis=-1)
    return _expected(picture, levels, stage)


def _expected(values, levels, stage):
    low, high = np.percentile(levels, (stage.low, stage.high), method="inverted_cdf")
    return values if low == high else np.clip((values - low) * 255 / (high - low), 0, 255)


@pytest.mark.parametrize("per_channel", [False, True], ids=["together", "per channel"])
@pytest.mark.parametrize(("low", "high"), PERCENTILES)
def test_it_stretches_between_the_percentiles_of_numpy(subject, low, high, per_channel):
    stage = Stretch(low=low, high=high, per_channel=per_channel)
    difference = stretched(subject, stage) - expected_of(subject.astype(float), stage)
    assert np.abs(difference).max() <= TOLERANCE


def test_grey_and_bgr_are_stretched_alike(photo):
    stage = Stretch(per_channel=True)
    result = stretched(photo, stage)
    assert np.array_equal(stretched(photo[..., ::-1], stage, "bgr"), result[..., ::-1])
    assert np.array_equal(stretched(photo[..., :1], stage, "grey"), result[..., :1])


def test_known_percentiles():
    picture = np.arange(10, 110, dtype=np.uint8).reshape(10, 10, 1)
    # Of 100 levels, the first and the 99th: 10 and 108.
    result = stretched(picture, Stretch(), "grey").reshape(-1)
    assert result[[0, 49, 98, 99]] == pytest.approx([0, 127.5, 255, 255], abs=TOLERANCE)


def test_a_percentage_counts_as_it_is_written():
    # 0.1 % of 1000 pixels is one pixel; as a float 0.1 is a little more, which would be two.
    picture = np.array([0] + [100] * 998 + [200], np.uint8).reshape(1, 1000, 1)
    result = stretched(picture, Stretch(low=0.1, high=100.0), "grey").reshape(-1)
    assert result[[0, 1, 999]] == pytest.approx([0, 127.5, 255], abs=TOLERANCE)


def test_values_themselves_are_not_rounded(engine, noise):
    picture = noise(26, 34)
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = picture.reshape(13, 2, 17, 2, 3).mean(axis=(1, 3))
    result = engine(chain_of(picture, halved, Stretch()), picture)[0]
    assert np.abs(result - expected_of(means, Stretch())).max() <= TOLERANCE
    assert (result % 1 > 0).any()


@pytest.mark.parametrize("per_channel", [False, True], ids=["together", "per channel"])
def test_every_engine_agrees(engine, small_subject, per_channel):
    stage = Stretch(per_channel=per_channel)
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.abs(result - expected_of(small_subject.astype(float), stage)).max() <= TOLERANCE


def test_what_is_of_one_level_stays(engine):
    picture = np.full((3, 5, 3), (0, 77, 255), np.uint8)
    stage = Stretch(per_channel=True)
    assert np.array_equal(engine(chain_of(picture, stage), picture)[0], picture)


def test_where_most_is_of_one_level_nothing_is_lost(engine):
    # Both percentiles are 9: a picture on a plain background keeps what is on it.
    picture = np.full((20, 20, 1), 9, np.uint8)
    picture[3, 4] = 200
    result = engine(chain_of(picture, Stretch(), color="grey"), picture)[0]
    assert np.array_equal(result, picture)


def test_litert_agrees(litert, noise):
    picture, stage = noise(13, 17), Stretch(per_channel=True)
    result = litert(chain_of(picture, stage), picture)[0]
    assert np.abs(result - expected_of(picture.astype(float), stage)).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"low": -1}, "stretch.low: must be at least 0 and at most 100, got -1"),
        ({"high": 100.5}, "stretch.high: must be at least 0 and at most 100, got 100.5"),
        ({"low": float("nan")}, "stretch.low: must be a finite number, got nan"),
        ({"low": 50, "high": 50}, "stretch.low: must be below high, got 50.0 and 50.0"),
        ({"low": 99.5}, "stretch.low: must be below high, got 99.5 and 99.0"),
        ({"per_channel": 1}, "stretch.per_channel: must be true or false, got 1"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(table, message):
    with pytest.raises(RecipeError, match="stretch") as caught:
        build(Stretch, table, "stretch")
    assert str(caught.value) == message


def test_pictures_without_levels_are_refused():
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(Color(to="ycrcb"), Stretch()))
    assert str(caught.value) == (
        "preprocess[1]: stretch needs rgb or bgr or grey pictures, got 'ycrcb'; "
        "put color with to = 'rgb' before this stage"
    )
