"""The resizes that people trained with: Pillow, torch, OpenCV; on a photograph and on noise."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

SIZES = [(224, 224), (97, 131), (33, 480), (300, 17)]


@pytest.fixture(params=["photo", "noise"])
def picture(request, photo, noise):
    return photo if request.param == "photo" else noise(211, 333)


def resized(picture, size, **options):
    chain = Chain(input=ImageSpec(), stages=(Resize(size=size, **options),))
    return chain.apply(NumpyPrimitives(), picture[None])[0]


def opencv(picture, size, interpolation):
    return cv2.resize(picture, size[::-1], interpolation=interpolation)


@pytest.mark.parametrize("size", SIZES)
def test_the_default_is_pillow_bilinear(picture, size):
    expected = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR)
    levels = np.abs(resized(picture, size) - np.asarray(expected))
    # Pillow rounds to uint8 twice, between its two passes and at the end. Two independent errors
    # of up to half a level make a third on average, which only noise reaches.
    assert levels.max() <= 1.0
    assert levels.mean() <= 1 / 3


def test_the_default_is_pillow_bilinear_within_three_tenths_on_average_for_a_photograph(photo):
    expected = Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR)
    assert np.abs(resized(photo, (224, 224)) - np.asarray(expected)).mean() <= 0.3


@pytest.mark.parametrize("size", SIZES)
def test_the_default_is_exactly_pillow_bilinear_in_float(picture, size):
    channel = picture[..., 1].astype(np.float32)
    expected = Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.abs(resized(picture, size)[..., 1] - np.asarray(expected)).max() <= 0.001


@pytest.mark.parametrize("size", SIZES)
def test_without_antialias_it_is_opencv_linear(picture, size):
    result = resized(picture, size, antialias=False)
    exact = opencv(picture.astype(np.float32), size, cv2.INTER_LINEAR)
    assert np.abs(result - exact).max() <= 0.001
    # OpenCV's uint8 has 11 bits of fraction.
    rounded = opencv(picture, size, cv2.INTER_LINEAR)
    assert np.abs(result - rounded).max() <= 0.85


@pytest.mark.parametrize("size", [(200, 224), (97, 131), (33, 300)])
def test_area_is_opencv_area_when_shrinking(picture, size):
    rounded = opencv(picture, size, cv2.INTER_AREA)
    assert np.abs(resized(picture, size, method="area") - rounded).max() <= 0.51


@pytest.mark.parametrize("size", SIZES)
def test_bicubic_is_pillow_bicubic(picture, size):
    channel = picture[..., 1].astype(np.float32)
    expected = Image.fromarray(channel).resize(size[::-1], Image.Resampling.BICUBIC)
    result = resized(picture, size, method="bicubic")
    assert np.abs(result[..., 1] - np.clip(np.asarray(expected), 0, 255)).max() <= 0.001
    # In uint8 Pillow clips between its two passes too, where a cubic overshoots.
    rounded = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC)
    assert np.abs(result - np.asarray(rounded)).mean() <= 0.5


@pytest.mark.parametrize("size", SIZES)
def test_bicubic_is_torch_bicubic(picture, size):
    batch = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(batch, size, mode="bicubic", antialias=True)
    result = resized(picture, size, method="bicubic")
    expected = expected[0].permute(1, 2, 0).clamp(0, 255).numpy()
    # torch finds its pixels in float32.
    assert np.abs(result - expected).max() <= 0.01


def test_the_overshoot_of_bicubic_is_cut_off():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, 8:] = 255
    result = resized(picture, (11, 23), method="bicubic")
    assert (result.min(), result.max()) == (0, 255)


@pytest.mark.parametrize(
    ("like", "same"),
    [
        ("opencv", {"antialias": False}),
        ("pillow", {"antialias": True}),
        ("torchvision", {"antialias": True}),
    ],
)
def test_a_preset_is_the_resize_of_that_library(photo, like, same):
    assert np.array_equal(resized(photo, (97, 131), like=like), resized(photo, (97, 131), **same))
    assert Resize(size=(4, 4), like=like).antialias == same["antialias"]


@pytest.mark.parametrize(
    "options",
    [{"method": "area", "like": "opencv"}, {"method": "bicubic", "like": "pillow"}],
)
def test_a_preset_leaves_methods_that_the_library_has(photo, options):
    alone = {"method": options["method"]}
    assert np.array_equal(resized(photo, (33, 48), **options), resized(photo, (33, 48), **alone))


def test_the_two_bilinear_resizes_are_far_apart(photo):
    """What choosing the wrong one costs, and that the tests above tell them apart."""
    levels = np.abs(resized(photo, (224, 224)) - resized(photo, (224, 224), antialias=False))
    assert levels.max() > 50
    assert levels.mean() > 3
