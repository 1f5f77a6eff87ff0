"""Low-pass and band-pass: OpenCV's Gaussians, and waves of which as much passes as is said."""

from math import ceil, exp, log, pi, sqrt

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.band_pass import BandPass
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.low_pass import LowPass
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

# In levels. Sums of float32 are ten times better.
TOLERANCE = 1e-3
HALF_THE_POWER = sqrt(0.5)


def gaussian_blur(picture, sigma):
    sides = (2 * ceil(3 * sigma) + 1,) * 2
    return cv2.GaussianBlur(
        picture.astype(np.float64), sides, sigma, borderType=cv2.BORDER_REFLECT_101
    ).reshape(picture.shape)


def of_cutoff(picture, cutoff):
    """By the formula of the docstring, which counts up to a cut-off of 0.2."""
    return gaussian_blur(picture, sqrt(log(2)) / (2 * pi * cutoff))


def band(picture, narrow, wide, offset=128):
    return np.clip(offset + narrow - wide, 0, 255)


STAGES = {
    "low-pass by sigma": (LowPass(sigma=2.2), lambda x: gaussian_blur(x, 2.2)),
    "low-pass of few weights": (LowPass(sigma=0.3), lambda x: gaussian_blur(x, 0.3)),
    "band-pass by sigma": (
        BandPass(sigma=(0.9, 2.5)),
        lambda x: band(x, gaussian_blur(x, 0.9), gaussian_blur(x, 2.5)),
    ),
    "band-pass of another level": (
        BandPass(sigma=(0.3, 8.0), offset=30),
        lambda x: band(x, gaussian_blur(x, 0.3), gaussian_blur(x, 8.0), 30),
    ),
}


@pytest.fixture(params=list(STAGES))
def stage_and_oracle(request):
    return STAGES[request.param]


def chain_of(picture, stage):
    height, width, channels = picture.shape
    color = "grey" if channels == 1 else "rgb"
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=(stage,))


def filtered(picture, stage):
    return chain_of(picture, stage).apply(NumpyPrimitives(), picture[None])[0]


def test_the_numbers_are_those_of_opencv(subject, stage_and_oracle):
    stage, oracle = stage_and_oracle
    assert np.abs(filtered(subject, stage) - oracle(subject)).max() <= TOLERANCE


def test_an_engine_gives_the_numbers_of_opencv(engine, small_subject, stage_and_oracle):
    stage, oracle = stage_and_oracle
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.abs(result - oracle(small_subject)).max() <= TOLERANCE


@pytest.mark.parametrize("stage", [LowPass(cutoff=0.07), BandPass(cutoff=(0.05, 0.3))], ids=str)
def test_an_engine_agrees_on_a_cutoff(engine, noise, stage):
    picture = noise(31, 46)[..., :1]
    result = engine(chain_of(picture, stage), picture)[0]
    assert np.abs(result - filtered(picture, stage)).max() <= TOLERANCE


@pytest.mark.parametrize("name", ["low-pass by sigma", "band-pass by sigma"])
def test_litert_gives_the_numbers_of_opencv(litert, noise, name):
    stage, oracle = STAGES[name]
    picture = noise(13, 17)
    result = litert(chain_of(picture, stage), picture)[0]
    assert np.abs(result - oracle(picture)).max() <= TOLERANCE


def test_a_low_pass_of_some_sigma_is_that_gaussian(noise):
    picture = noise(23, 19)
    both = (filtered(picture, stage(sigma=1.7)) for stage in (LowPass, Gaussian))
    assert np.array_equal(*both)


def passes(stage, frequency, axis=2):
    """How much of the amplitude of a wave is left, in the middle of a long picture of it."""
    places = np.arange(-450, 451)
    wave = 128 + 100 * np.cos(2 * pi * frequency * places)
    x = wave.astype(np.float32).reshape((1, 1, -1, 1) if axis == 2 else (1, -1, 1, 1))
    image = ImageSpec(height=x.shape[1], width=x.shape[2], color="grey", dtype="float32")
    return (stage.apply(NumpyPrimitives(), x, image).reshape(-1)[450].item() - 128) / 100


@settings(deadline=None, derandomize=True, max_examples=40)
@given(cutoff=st.floats(log(0.002), log(0.5)).map(exp), axis=st.sampled_from([1, 2]))
def test_half_the_power_of_a_wave_passes_at_the_cutoff(cutoff, axis):
    cutoff = min(max(cutoff, 0.002), 0.5)
    assert passes(LowPass(cutoff=cutoff), cutoff, axis) == pytest.approx(HALF_THE_POWER, abs=1e-5)


@pytest.mark.parametrize("cutoff", [0.002, 0.2, 0.25, 0.4, 0.5])
def test_slower_waves_pass_and_faster_ones_do_not(cutoff):
    stage = LowPass(cutoff=cutoff)
    frequencies = np.linspace(0, 0.5, 26)
    amplitudes = [passes(stage, frequency) for frequency in frequencies]
    # The lobes of a Gaussian that ends at three deviations are one part in 200.
    assert all(np.diff(amplitudes) <= 0.005)
    assert amplitudes[0] == pytest.approx(1.0, abs=1e-5)
    for frequency, amplitude in zip(frequencies, amplitudes, strict=True):
        assert (amplitude > HALF_THE_POWER) == (frequency < cutoff) or frequency == cutoff


@pytest.mark.parametrize("cutoff", [0.01, 0.05, 0.1, 0.2])
def test_up_to_a_fifth_a_cutoff_is_the_sigma_of_the_formula(photo, cutoff):
    picture = photo[40:401, 100:417]
    by_formula = of_cutoff(picture, cutoff)
    difference = filtered(picture, LowPass(cutoff=cutoff)) - by_formula
    # Next to what the filter takes out of the picture.
    assert np.abs(difference).max() <= 0.015 * np.abs(picture - by_formula).max()


@pytest.mark.parametrize(("cutoff", "length"), [(0.1, 51), (0.25, 9), (0.05, 31), (0.5, 6)])
def test_up_to_the_edge_a_wave_stays_a_wave(cutoff, length):
    """Mirrored where it has a crest or a trough, a wave goes on, so that nothing changes there."""
    crests = np.cos(2 * pi * cutoff * np.arange(length))
    assert abs(crests[-1]) == pytest.approx(1.0)
    picture = np.rint(128 + 100 * np.outer(np.ones(7), crests)).astype(np.uint8)[..., None]
    exact = 128 + 100 * HALF_THE_POWER * crests
    # The picture itself is rounded by half a level.
    assert np.abs(filtered(picture, LowPass(cutoff=cutoff))[..., 0] - exact).max() <= 0.5


@pytest.mark.parametrize("frequency", [0.01, 0.04, 0.08, 0.12, 0.2])
def test_of_a_wave_a_band_pass_lets_through_what_its_docstring_says(frequency):
    low, high = 0.04, 0.12
    expected = exp(-log(2) / 2 * (frequency / high) ** 2) - exp(
        -log(2) / 2 * (frequency / low) ** 2
    )
    # A Gaussian that ends at three deviations is up to half a part in 100 off its formula.
    assert passes(BandPass(cutoff=(low, high)), frequency) == pytest.approx(expected, abs=0.006)


def test_most_of_all_passes_between_the_cutoffs():
    stage = BandPass(cutoff=(0.04, 0.12))
    amplitudes = {at / 100: passes(stage, at / 100) for at in range(51)}
    assert 0.04 < max(amplitudes, key=amplitudes.get) < 0.12
    # Two thirds, where one cut-off is three times the other.
    assert max(amplitudes.values()) == pytest.approx(0.675, abs=0.006)
    assert amplitudes[0] == pytest.approx(0, abs=1e-5)
    assert abs(amplitudes[0.5]) < 0.01


def test_the_two_ways_to_say_a_band_are_in_opposite_order():
    """A low cut-off is a wide Gaussian."""
    widths = [sqrt(log(2)) / (2 * pi * cutoff) for cutoff in (0.15, 0.05)]
    by_sigma, by_cutoff = BandPass(sigma=tuple(widths)), BandPass(cutoff=(0.05, 0.15))
    for frequency in (0.03, 0.1, 0.3):
        assert passes(by_sigma, frequency) == pytest.approx(passes(by_cutoff, frequency), abs=0.006)


def test_an_even_picture_has_no_detail(engine):
    picture = np.full((13, 17, 3), (0, 99, 255), np.uint8)
    result = engine(chain_of(picture, BandPass(sigma=(1.0, 2.0), offset=7)), picture)
    assert np.abs(result - 7).max() <= TOLERANCE


def test_a_step_is_clipped_where_it_leaves_the_range():
    picture = np.zeros((3, 60, 1), np.uint8)
    picture[:, 30:] = 255
    result = filtered(picture, BandPass(sigma=(0.3, 10.0), offset=200))[1, :, 0]
    # By hand: what the two kernels reach beyond the step.
    narrow, wide = (
        np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        for sigma, reach in ((0.3, 1), (10.0, 30))
    )
    expected = 200 + 255 * (narrow[2] / narrow.sum() - wide[31:].sum() / wide.sum())
    assert result[29] == pytest.approx(expected, abs=TOLERANCE)
    assert result[30] == 255


def message_of(stage, *before):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(*before, stage))
    return str(caught.value).removeprefix(f"preprocess[{len(before)}]: ")


def test_a_band_around_a_level_needs_levels():
    assert message_of(BandPass(sigma=(1.0, 2.0)), Scale()) == (
        "band-pass needs values in 0..255, got '0..1'; put this stage before normalize and scale"
    )
    chain = Chain(input=ImageSpec(), stages=(Scale(), LowPass(sigma=1.0)))
    assert chain.output.range == "0..1"


@pytest.mark.parametrize("stage", [LowPass(sigma=1.0), BandPass(sigma=(1.0, 2.0))], ids=str)
def test_angles_have_no_mean(stage):
    assert message_of(stage, Color(to="hsv")) == (
        f"{stage.name} needs rgb or bgr or grey or ycrcb or lab pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )


BOUNDS = "must be at least 0.002 and at most 0.5 cycles a pixel"
REMEDY = "a wave needs at least two pixels, and kernels end at 400"

WRONG = {
    "low-pass: neither": ({"use": "low-pass"}, ": needs either sigma or cutoff, got neither"),
    "low-pass: both": (
        {"use": "low-pass", "sigma": 1, "cutoff": 0.1},
        ": needs either sigma or cutoff, got both",
    ),
    "low-pass: fast": (
        {"use": "low-pass", "cutoff": 0.6},
        f".cutoff: {BOUNDS}, got 0.6; {REMEDY}",
    ),
    "low-pass: slow": (
        {"use": "low-pass", "cutoff": 0.001},
        f".cutoff: {BOUNDS}, got 0.001; {REMEDY}",
    ),
    "low-pass: wide": (
        {"use": "low-pass", "sigma": 101},
        ".sigma: must be at least 0.1 and at most 100.0, got 101",
    ),
    "band-pass: neither": ({"use": "band-pass"}, ": needs either sigma or cutoff, got neither"),
    "band-pass: both": (
        {"use": "band-pass", "sigma": [1, 2], "cutoff": [0.1, 0.2]},
        ": needs either sigma or cutoff, got both",
    ),
    "band-pass: falling": (
        {"use": "band-pass", "sigma": [2, 1]},
        ".sigma: must be two numbers of which the second is greater, got [2.0, 1.0]",
    ),
    "band-pass: equal": (
        {"use": "band-pass", "cutoff": [0.1, 0.1]},
        ".cutoff: must be two numbers of which the second is greater, got [0.1, 0.1]",
    ),
    "band-pass: one": (
        {"use": "band-pass", "cutoff": [0.1]},
        ".cutoff: must have 2 items, got [0.1]",
    ),
    "band-pass: fast": (
        {"use": "band-pass", "cutoff": [0.1, 0.6]},
        f".cutoff[1]: {BOUNDS}, got 0.6; {REMEDY}",
    ),
    "band-pass: level": (
        {"use": "band-pass", "sigma": [1, 2], "offset": 256},
        ".offset: must be at least 0 and at most 255, got 256",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused(name):
    table, message = WRONG[name]
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == f"preprocess[0]{message}"
