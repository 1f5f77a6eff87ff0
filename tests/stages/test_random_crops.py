"""Rectangles at random places, of one size and of many."""

from collections import Counter
from math import log

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare, kstest

from edgeprep.errors import RecipeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.crop import Crop
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.draw import draw
from edgeprep.stages.random.resized_crop import RandomResizedCrop
from edgeprep.tensors import ImageSpec

# A right stage gets a lower one from one seed of a million; the seeds here stay the same.
UNLIKELY = 1e-6


def camera(height, width):
    return ImageSpec(height=height, width=width)


def parts(stage, height, width, count, seed=0):
    """The rectangles of so many draws."""
    generator = np.random.default_rng(seed)
    return [stage.draw(generator, camera(height, width))[0] for _ in range(count)]


def test_every_place_of_a_crop_is_as_likely():
    found = Counter((part.top, part.left) for part in parts(RandomCrop(size=(2, 3)), 5, 4, 4000))
    assert {*found} == {(top, left) for top in range(4) for left in range(2)}
    assert chisquare([*found.values()]).pvalue > UNLIKELY


def test_a_crop_keeps_pixels_and_their_type(noise):
    picture = noise(9, 7)
    stage = RandomCrop(size=(4, 5))
    chain = draw((stage,), np.random.default_rng(1), camera(9, 7))
    (part,) = chain.stages
    expected = picture[part.top : part.top + 4, part.left : part.left + 5]
    assert chain.output == stage.output(camera(9, 7)) == camera(4, 5)
    assert np.array_equal(chain.prepare(picture)[0], expected)


def test_a_crop_with_padding_is_any_window_of_a_padded_picture():
    # Every pixel has a level of its own, so that every window is another one.
    picture = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1)
    padded = np.pad(picture, ((2, 2), (2, 2), (0, 0)), constant_values=99)
    windows = {
        padded[top : top + 3, left : left + 4].tobytes(): 0 for top in range(5) for left in range(5)
    }
    generator = np.random.default_rng(2)
    stage = RandomCrop(size=(3, 4), padding=2, fill=99)
    image = ImageSpec(height=3, width=4, color="grey")
    for _ in range(2500):
        chain = draw((stage,), generator, image)
        assert chain.output == stage.output(image)
        windows[chain.prepare(picture)[0].tobytes()] += 1
    assert len(windows) == 25
    assert chisquare([*windows.values()]).pvalue > UNLIKELY


def test_padding_lets_a_crop_be_larger_than_the_picture(noise):
    picture = noise(3, 3)
    image = camera(3, 3)
    chain = draw((RandomCrop(size=(7, 7), padding=2, fill=5),), np.random.default_rng(0), image)
    assert np.array_equal(
        chain.prepare(picture)[0],
        np.pad(picture, ((2, 2), (2, 2), (0, 0)), constant_values=5),
    )


def test_a_crop_of_the_size_of_the_picture_is_the_picture(noise):
    picture = noise(6, 5)
    chain = draw((RandomCrop(size=(6, 5)),), np.random.default_rng(0), camera(6, 5))
    assert np.array_equal(chain.prepare(picture)[0], picture)


@pytest.mark.parametrize(
    ("padding", "size", "least"), [(0, (3, 9), [4, 6]), (1, (1, 9), [2, 4]), (2, (6, 1), [1, 2])]
)
def test_a_picture_that_a_crop_does_not_fit_into_is_refused(padding, size, least):
    stage = RandomCrop(size=(4, 6), padding=padding)
    assert stage.output(camera(*least)).size == (4, 6)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        stage.output(camera(*size))
    assert str(caught.value) == (
        f"needs pictures of at least {least!r} pixels, got {list(size)!r}; "
        "resize first, or raise padding"
    )


def test_areas_of_parts_are_uniform():
    # A square of at most the whole picture always fits, so that no draw is made again.
    stage = RandomResizedCrop(size=(8, 8), scale=(0.2, 0.9), ratio=(1, 1))
    found = parts(stage, 1000, 1000, 2000)
    assert all(part.size[0] == part.size[1] for part in found)
    areas = np.array([part.size[0] * part.size[1] / 1e6 for part in found])
    assert kstest(areas, "uniform", (0.2, 0.7)).pvalue > UNLIKELY


def test_ratios_of_parts_are_uniform_in_their_logarithm():
    # A hundredth of the picture fits in all of these ratios.
    stage = RandomResizedCrop(size=(8, 8), scale=(0.01, 0.01), ratio=(0.5, 4))
    found = parts(stage, 3000, 3000, 2000)
    logs = [log(part.size[1] / part.size[0]) for part in found]
    assert kstest(logs, "uniform", (log(0.5), log(4) - log(0.5))).pvalue > UNLIKELY


def test_places_of_parts_are_uniform():
    stage = RandomResizedCrop(size=(8, 8), scale=(0.05, 0.3))
    found = parts(stage, 2000, 3000, 2000)
    down = [part.top / (2000 - part.size[0]) for part in found]
    across = [part.left / (3000 - part.size[1]) for part in found]
    assert kstest(down, "uniform").pvalue > UNLIKELY
    assert kstest(across, "uniform").pvalue > UNLIKELY
    assert abs(np.corrcoef(down, across)[0, 1]) < 5 / 2000**0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 2), (31, 33)])
def test_parts_lie_within_the_picture(size):
    for part in parts(RandomResizedCrop(size=(5, 6)), *size, 500):
        Chain(input=camera(*size), stages=(part,))


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        # Too wide, too high, and a picture whose own ratio is asked for.
        ((10, 1000), (0.9, 1.1), Crop(size=(10, 11), top=0, left=494)),
        ((1000, 10), (0.8, 1.1), Crop(size=(12, 10), top=494, left=0)),
        ((20, 10), (0.5, 0.5), Crop(size=(20, 10))),
    ],
)
def test_where_no_part_of_such_a_shape_fits_the_middle_is_taken(size, ratio, expected):
    stage = RandomResizedCrop(size=(8, 8), scale=(1, 1), ratio=ratio)
    assert {*parts(stage, *size, 50)} == {expected}


@pytest.mark.parametrize(
    ("method", "pillow", "tolerance"),
    # Pillow rounds between its two passes, and the weights of a cubic add up to more than 1.
    [("bilinear", Image.Resampling.BILINEAR, 1), ("bicubic", Image.Resampling.BICUBIC, 2)],
)
def test_a_part_is_resized_as_pillow_does(photo, method, pillow, tolerance):
    picture = photo[:200, :310]
    stage = RandomResizedCrop(size=(64, 48), method=method)
    generator = np.random.default_rng(5)
    for _ in range(5):
        chain = draw((stage,), generator, camera(200, 310))
        part = chain.stages[0]
        (height, width), top, left = part.size, part.top, part.left
        cropped = Image.fromarray(picture[top : top + height, left : left + width])
        expected = np.asarray(cropped.resize((48, 64), pillow)).astype(int)
        assert np.abs(chain.prepare(picture)[0] - expected).max() <= tolerance


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # At the upper edge the triangle weighs 3, 3 and 1 rows: (3 + 1) / 7 of white.
        ({}, round(200 * 4 / 7)),
        # The mean of a white row and a black one.
        ({"antialias": False}, 100),
        ({"method": "area"}, 100),
    ],
)
def test_the_method_of_resizing_can_be_chosen(options, expected):
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[::2] = 200
    stage = RandomResizedCrop(size=(4, 4), scale=(1, 1), ratio=(1, 1), **options)
    chain = draw((stage,), np.random.default_rng(0), camera(8, 8))
    assert chain.prepare(picture)[0, 0, 0, 0] == expected
