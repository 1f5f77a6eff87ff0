"""Brightness, contrast, saturation and hue: their formulas, and how jitter chooses among them."""

from colorsys import hsv_to_rgb, rgb_to_hsv
from itertools import permutations

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.stats import chisquare, kstest

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.random.adjust import Brightness, Contrast, Hue, Saturation
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()
UNLIKELY = 1e-6
CAMERA = ImageSpec(height=9, width=9)
FACTORS = [0.0, 0.35, 1.0, 1.6]


def adjusted(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    chain = Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)
    return chain.apply(NUMPY, picture[None])[0]


def steps(jitter, count):
    generator = np.random.default_rng(0)
    return [jitter.draw(generator, CAMERA) for _ in range(count)]


def test_adjustments_by_hand():
    picture = np.array([[[200, 100, 0], [40, 40, 40]]], np.uint8)
    assert adjusted(picture, Brightness(factor=1.5)).tolist() == [[[255, 150, 0], [60, 60, 60]]]
    # 0.2989 · 200 + 0.587 · 100 = 118.48 is the grey of the first pixel, 39.996 of the second.
    grey, other = 118.48, 40 * 0.9999
    mean = (grey + other) / 2
    expected = [[200 / 2 + mean / 2, 100 / 2 + mean / 2, mean / 2], [20 + mean / 2] * 3]
    assert adjusted(picture, Contrast(factor=0.5))[0] == pytest.approx(np.array(expected), abs=1e-3)
    expected = [[255, 200 - grey, 0], [80 - other] * 3]
    assert adjusted(picture, Saturation(factor=2))[0] == pytest.approx(np.array(expected), abs=1e-3)
    # A third of a turn: what was red is green, and grey stays.
    expected = [[0, 200, 100], [40, 40, 40]]
    assert adjusted(picture, Hue(turn=1 / 3))[0] == pytest.approx(np.array(expected), abs=1e-3)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("stage", "enhance", "tolerance"),
    [
        # Pillow rounds its result down.
        (Brightness, ImageEnhance.Brightness, 1.0),
        # Its grey level is rounded before it is weighed by 1 - factor, and the mean once more.
        (Contrast, ImageEnhance.Contrast, 2.0),
        (Saturation, ImageEnhance.Color, 2.0),
    ],
)
def test_adjustments_are_those_of_pillow(photo, stage, enhance, tolerance, factor):
    picture = photo[100:300, 200:420]
    expected = np.asarray(enhance(Image.fromarray(picture)).enhance(factor)).astype(float)
    assert np.abs(adjusted(picture, stage(factor=factor)) - expected).max() <= tolerance


@pytest.mark.parametrize("factor", FACTORS)
def test_contrast_is_its_formula_in_float64(noise, factor):
    picture = noise(41, 33).astype(float)
    mean = (picture @ [0.2989, 0.587, 0.114]).mean()
    expected = np.clip(factor * picture + (1 - factor) * mean, 0, 255)
    found = adjusted(picture.astype(np.uint8), Contrast(factor=factor))
    assert np.abs(found - expected).max() <= 1e-3


@pytest.mark.parametrize("turn", [-0.5, -0.21, 0.0, 0.1, 0.5])
def test_hue_is_turned_as_in_colorsys(noise, turn):
    extremes = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 255], [7, 7, 8], [9, 9, 0]]
    picture = np.concatenate([noise(20, 6), [extremes]]).astype(np.uint8)
    expected = [
        [
            hsv_to_rgb((hue + turn) % 1, saturation, value)
            for hue, saturation, value in (rgb_to_hsv(*pixel) for pixel in row.tolist())
        ]
        for row in picture
    ]
    assert np.abs(adjusted(picture, Hue(turn=turn)) - np.array(expected)).max() <= 1e-3


@pytest.mark.parametrize(
    "stage", [Contrast(factor=0.4), Saturation(factor=1.7), Hue(turn=0.3)], ids=lambda s: s.name
)
def test_the_order_of_channels_is_minded(noise, stage):
    picture = noise(8, 9)
    swapped = adjusted(picture[..., ::-1], stage, color="bgr")
    assert np.abs(swapped[..., ::-1] - adjusted(picture, stage)).max() <= 1e-3


def test_grey_pictures_have_brightness_and_contrast():
    picture = np.array([[[10], [30]]], np.uint8)
    assert adjusted(picture, Brightness(factor=2), color="grey").ravel().tolist() == [20, 60]
    assert adjusted(picture, Contrast(factor=2), color="grey").ravel().tolist() == [0, 40]


@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_level_has_no_contrast_no_saturation_and_no_hue(value):
    picture = np.full((5, 4, 3), value, np.uint8)
    for stage in (Contrast(factor=1.9), Saturation(factor=1.9), Hue(turn=0.4)):
        # Weights of grey that add up to 0.9999, as torchvision's do.
        assert np.abs(adjusted(picture, stage).astype(float) - picture).max() <= 0.03


@pytest.mark.parametrize(
    ("field", "amount", "low", "high"),
    [
        ("brightness", 0.4, 0.6, 1.4),
        ("contrast", 2.5, 0.0, 3.5),
        ("saturation", 0.1, 0.9, 1.1),
        ("hue", 0.25, -0.25, 0.25),
    ],
)
def test_every_factor_is_as_likely(field, amount, low, high):
    found = steps(RandomColorJitter(**{field: amount}), 2000)
    assert {(len(drawn), drawn[0].name) for drawn in found} == {(1, field)}
    values = [drawn[0].turn if field == "hue" else drawn[0].factor for drawn in found]
    assert kstest(values, "uniform", (low, high - low)).pvalue > UNLIKELY


def test_every_order_is_as_likely():
    jitter = RandomColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    found = [tuple(type(step) for step in drawn) for drawn in steps(jitter, 4800)]
    counts = [found.count(order) for order in permutations((Brightness, Contrast, Saturation, Hue))]
    assert sum(counts) == 4800
    assert chisquare(counts).pvalue > UNLIKELY


def test_factors_are_independent():
    jitter = RandomColorJitter(brightness=0.4, contrast=0.4)
    drawn = [{step.name: step.factor for step in each} for each in steps(jitter, 2000)]
    pairs = [(each["brightness"], each["contrast"]) for each in drawn]
    assert abs(np.corrcoef(np.transpose(pairs))[0, 1]) < 5 / 2000**0.5
