"""Sharpening by the Laplacian and by an unsharp mask: the filters of OpenCV."""

from math import ceil

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.stages.sharpen import Sharpen
from edgeprep.stages.unsharp import Unsharp
from edgeprep.tensors import ImageSpec

# Of float32 sums, in levels, for each 1 of `amount`: of 5 weights, and of up to 121 twice.
TOLERANCE, MASK_TOLERANCE = 1e-4, 5e-4
STAGES = {"sharpen": Sharpen, "unsharp": Unsharp}


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def sharpened(picture, stage, color="rgb"):
    return chain_of(picture, stage, color=color).apply(NumpyPrimitives(), picture[None])[0]


def kernel_of_opencv(picture, amount):
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]) * amount
    kernel[1, 1] += 1
    result = cv2.filter2D(picture.astype(np.float64), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(result, 0, 255).reshape(picture.shape)


def mask_of_opencv(picture, stage):
    values, size = picture.astype(np.float64), 2 * ceil(3 * stage.sigma) + 1
    blurred = cv2.GaussianBlur(
        values, (size, size), stage.sigma, borderType=cv2.BORDER_REFLECT_101
    ).reshape(picture.shape)
    detail = values - blurred
    beyond = np.sign(detail) * np.maximum(np.abs(detail) - stage.threshold, 0)
    return np.clip(values + stage.amount * beyond, 0, 255)


def test_the_usual_kernel_is_exact(subject):
    assert np.array_equal(sharpened(subject, Sharpen()), kernel_of_opencv(subject, 1.0))


@pytest.mark.parametrize("amount", [0.01, 0.3, 2.7, 10.0])
def test_sharpening_is_the_filter_of_opencv(subject, amount):
    difference = sharpened(subject, Sharpen(amount=amount)) - kernel_of_opencv(subject, amount)
    assert np.abs(difference).max() <= TOLERANCE * max(amount, 1)


def test_a_step_has_its_sides_pushed_apart():
    picture = np.array([[[100], [100], [110], [110]]], np.uint8)
    result = sharpened(picture, Sharpen(amount=0.5), "grey").reshape(-1)
    assert result.tolist() == [100, 95, 115, 110]


def test_every_engine_sharpens_alike(engine, small_subject):
    result = engine(chain_of(small_subject, Sharpen()), small_subject)[0]
    assert np.array_equal(result, kernel_of_opencv(small_subject, 1.0))


@pytest.mark.parametrize("sigma", [0.1, 0.8, 1.0, 3.3, 20.0])
@pytest.mark.parametrize("threshold", [0.0, 5.5])
def test_an_unsharp_mask_is_that_of_opencv(subject, sigma, threshold):
    stage = Unsharp(sigma=sigma, amount=1.5, threshold=threshold)
    difference = sharpened(subject, stage) - mask_of_opencv(subject, stage)
    assert np.abs(difference).max() <= MASK_TOLERANCE


def test_differences_up_to_the_threshold_are_left_alone(noise):
    picture = noise(31, 43) // 8 + 100  # all within 32 levels
    assert np.array_equal(sharpened(picture, Unsharp(threshold=32)), picture)
    assert not np.array_equal(sharpened(picture, Unsharp(threshold=4)), picture)


@pytest.mark.parametrize("threshold", [0.0, 5.5])
def test_every_engine_agrees_on_an_unsharp_mask(engine, small_subject, threshold):
    stage = Unsharp(sigma=1.7, threshold=threshold)
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.abs(result - mask_of_opencv(small_subject, stage)).max() <= MASK_TOLERANCE


@pytest.mark.parametrize("stage", [Sharpen(amount=2.0), Unsharp()], ids=lambda stage: stage.name)
def test_bgr_and_grey_are_sharpened_alike(photo, stage):
    result = sharpened(photo, stage)
    assert np.abs(sharpened(photo[..., ::-1], stage, "bgr") - result[..., ::-1]).max() <= TOLERANCE
    assert np.abs(sharpened(photo[..., :1], stage, "grey") - result[..., :1]).max() <= TOLERANCE


def test_nothing_is_rounded(engine, noise):
    picture = noise(26, 34)
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = picture.reshape(13, 2, 17, 2, 3).mean(axis=(1, 3))
    result = engine(chain_of(picture, halved, Sharpen()), picture)[0]
    assert np.array_equal(result, kernel_of_opencv(means, 1.0))
    assert (result % 1 > 0).any()


def test_litert_agrees(litert, noise):
    picture = noise(13, 17)
    mask = Unsharp(sigma=1.7, threshold=5.5)
    result = litert(chain_of(picture, Sharpen(), mask), picture)[0]
    expected = mask_of_opencv(kernel_of_opencv(picture, 1.0), mask)
    assert np.abs(result - expected).max() <= MASK_TOLERANCE


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"use": "sharpen", "amount": 0}, "must be above 0 and at most 10, got 0"),
        ({"use": "sharpen", "amount": 10.5}, "must be above 0 and at most 10, got 10.5"),
        ({"use": "sharpen", "amount": float("inf")}, "must be a finite number, got inf"),
        ({"use": "unsharp", "amount": -1}, "must be above 0 and at most 10, got -1"),
        ({"use": "unsharp", "sigma": 0}, "must be at least 0.1 and at most 100.0, got 0"),
        ({"use": "unsharp", "sigma": 101}, "must be at least 0.1 and at most 100.0, got 101"),
        ({"use": "unsharp", "threshold": 256}, "must be at least 0 and at most 255, got 256"),
        ({"use": "unsharp", "threshold": -1}, "must be at least 0 and at most 255, got -1"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(table, message):
    name, key = table.pop("use"), next(iter(table))
    with pytest.raises(RecipeError, match=f"^{name}") as caught:
        build(STAGES[name], table, name)
    assert str(caught.value) == f"{name}.{key}: {message}"


@pytest.mark.parametrize("stage", [Sharpen(), Unsharp()], ids=lambda stage: stage.name)
def test_pictures_without_levels_are_refused(stage):
    with pytest.raises(RecipeError, match="preprocess") as of_hue:
        Chain(input=ImageSpec(), stages=(Color(to="hsv"), stage))
    assert str(of_hue.value) == (
        f"preprocess[1]: {stage.name} needs rgb or bgr or grey pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )
    with pytest.raises(RecipeError, match="preprocess") as of_range:
        Chain(input=ImageSpec(), stages=(Scale(to="-1..1"), stage))
    assert str(of_range.value) == (
        f"preprocess[1]: {stage.name} needs values in 0..255, got '-1..1'; "
        "put this stage before normalize and scale"
    )
