"""Noise, blur and covered parts: what they do to pixels, and how often."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from edgeprep.stages.chain import Chain
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.random.blur import RandomBlur
from edgeprep.stages.random.cutout import Covered, RandomCutout
from edgeprep.stages.random.draw import draw
from edgeprep.stages.random.noise import AddedNoise, RandomNoise
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()
UNLIKELY = 1e-6


def camera(height, width):
    return ImageSpec(height=height, width=width)


def noisy(level, sigma=10.0, seed=1, pictures=1):
    image = camera(60, 50)
    chain = Chain(input=image, stages=(AddedNoise(sigma=sigma, seed=seed),))
    return chain.apply(NUMPY, np.full(image.shape(pictures), level, np.uint8))


def test_noise_is_normal_and_as_strong_as_asked():
    values = noisy(128, 10).ravel()
    assert kstest(values, "norm", (128, 10)).pvalue > UNLIKELY


def test_every_value_has_noise_of_its_own():
    noise = noisy(128)[0] - 128
    down, across, deep = noise[1:], noise[:, 1:], noise[..., 1:]
    for one, other in ((down, noise[:-1]), (across, noise[:, :-1]), (deep, noise[..., :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / one.size**0.5


def test_noise_stays_in_the_range():
    dark, bright = noisy(0), noisy(255)
    assert dark.min() == 0
    assert bright.max() == 255
    # Half of the noise would leave it.
    assert abs(np.count_nonzero(dark == 0) - 4500) < 5 * 9000**0.5 / 2
    assert abs(np.count_nonzero(bright == 255) - 4500) < 5 * 9000**0.5 / 2


def test_a_seed_gives_the_same_noise_in_torch_and_another_seed_another():
    image = camera(60, 50)
    chain = Chain(input=image, stages=(AddedNoise(sigma=10, seed=1),))
    same = ChainModule(chain)(torch.full(image.shape(), 128, dtype=torch.uint8)).numpy()
    assert np.array_equal(same, noisy(128, seed=1))
    assert np.abs(noisy(128, seed=2) - same).mean() > 5


def test_pictures_with_one_draw_have_one_noise():
    first, second = noisy(128, pictures=2)
    assert np.array_equal(first, second)


def test_draws_of_noise_differ_in_their_seed():
    generator = np.random.default_rng(0)
    stage = RandomNoise(sigma=4)
    found = {stage.draw(generator, camera(5, 5)) for _ in range(500)}
    assert len(found) == 500
    assert {step.sigma for (step,) in found} == {4}


def test_every_width_of_a_blur_is_as_likely():
    generator = np.random.default_rng(0)
    stage = RandomBlur(sigma=(0.5, 3))
    sigmas = [stage.draw(generator, camera(9, 9))[0].sigma for _ in range(2000)]
    assert kstest(sigmas, "uniform", (0.5, 2.5)).pvalue > UNLIKELY


def test_a_blur_is_the_stage_gaussian(noise):
    picture = noise(20, 31)
    chain = draw((RandomBlur(sigma=(1.3, 1.3)),), np.random.default_rng(0), camera(20, 31))
    expected = Chain(input=camera(20, 31), stages=(Gaussian(sigma=1.3),))
    assert chain == expected
    assert np.array_equal(chain.prepare(picture), expected.prepare(picture))


def test_rectangles_are_covered_and_nothing_else_is(noise):
    picture = noise(12, 9).astype(np.uint8)
    stage = Covered(rectangles=((2, 3, 5, 9), (0, 0, 1, 2), (4, 4, 12, 5)), fill=7)
    expected = picture.copy()
    for row in range(12):
        for column in range(9):
            first = 2 <= row < 5 and 3 <= column < 9
            second = row < 1 and column < 2
            third = row >= 4 and column == 4
            if first or second or third:
                expected[row, column] = 7
    found = Chain(input=camera(12, 9), stages=(stage,)).prepare(picture)[0]
    assert np.array_equal(found, expected)


def likely_cover(length, covered):
    """How likely each pixel of a line is to be covered, for a middle that is anywhere in it."""
    starts = [middle - covered // 2 for middle in range(length)]
    return np.array(
        [np.mean([start <= pixel < start + covered for start in starts]) for pixel in range(length)]
    )


def test_every_middle_of_a_rectangle_is_as_likely():
    # A share of 0.3 of 9 × 13 pixels is 3 × 4; at the edges less of it is in the picture.
    generator = np.random.default_rng(4)
    covered = np.zeros((9, 13), int)
    for _ in range(3000):
        (step,) = RandomCutout(size=0.3).draw(generator, camera(9, 13))
        ((top, left, bottom, right),) = step.rectangles
        covered[top:bottom, left:right] += 1
    expected = np.outer(likely_cover(9, 3), likely_cover(13, 4))
    spread = (3000 * expected * (1 - expected)) ** 0.5
    assert (np.abs(covered - 3000 * expected) <= 5.5 * spread).all()


@pytest.mark.parametrize(
    ("stage", "size", "pixels"),
    [
        # A share of a pixel is one pixel, and the whole of one is all there is.
        (RandomCutout(size=0.001), (40, 30), {1}),
        (RandomCutout(size=0.001, count=64), (1, 1), {1}),
        (RandomCutout(size=1.0), (1, 1), {1}),
        (RandomCutout(size=1.0), (2, 1), {1, 2}),
        (RandomCutout(size=0.001, count=2), (2, 1), {1, 2}),
    ],
)
def test_so_much_is_covered(stage, size, pixels):
    generator = np.random.default_rng(5)
    picture = np.full((*size, 3), 9, np.uint8)
    found = set()
    for _ in range(60):
        chain = draw((stage,), generator, camera(*size))
        assert len(chain.stages[0].rectangles) == stage.count
        found.add(int(np.count_nonzero(chain.prepare(picture)[0, ..., 0] == 0)))
    assert found == pixels
