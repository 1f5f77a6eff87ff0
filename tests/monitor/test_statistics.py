"""The numbers of a picture, against the same worked out slowly, pixel by pixel."""

import math
from itertools import pairwise
from statistics import fmean, pstdev
from time import perf_counter

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from edgeprep.monitor.statistics import FEATURES, look


def numbers(picture, color="rgb"):
    return dict(zip(FEATURES, look(picture, color).tolist(), strict=True))


def slowly(picture):
    """All of them for an RGB picture of at most 25×48 pixels, of which every pixel counts."""
    green = [[int(value) for value in row] for row in picture[:, :, 1]]
    light = [value for row in green for value in row]
    bent = [
        abs(row[at + 2] - 2 * row[at + 1] + row[at])
        for row in green[:-1]
        for at in range(len(row) - 2)
    ]
    blocks = [
        [(one[at] + one[at + 1] + other[at] + other[at + 1]) / 4 for at in range(len(one) - 1)]
        for one, other in pairwise(green)
    ]
    far = [(row[at + 8] - row[at]) ** 2 for row in blocks for at in range(len(row) - 8)]
    bend = [
        (row[at + 4] - 2 * row[at + 2] + row[at]) ** 2
        for row in blocks
        for at in range(len(row) - 4)
    ]
    lower = picture[len(picture) - -(-len(picture) // 3) :]
    red, middle, blue = (int(lower[:, :, channel].sum()) for channel in range(3))
    return {
        "brightness": fmean(light) / 255,
        "contrast": pstdev(light) / 255,
        "dark": sum(value < 16 for value in light) / len(light),
        "bright": sum(value > 239 for value in light) / len(light),
        "sharpness": math.sqrt(fmean(bend) / fmean(far)),
        "noise": fmean(bent) / math.sqrt(12 / math.pi) / 255,
        "cast": (red - blue) / (red + middle + blue),
    }


@pytest.mark.parametrize(("height", "width"), [(2, 10), (25, 17), (20, 48)])
def test_a_small_picture_counts_with_all_its_pixels(height, width):
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert numbers(picture) == pytest.approx(slowly(picture), rel=1e-4)


def test_of_a_large_picture_a_grid_is_enough():
    # A slope across, and another down: means of a grid lie within half a step of those of all.
    across, down = np.meshgrid(np.linspace(0, 255, 1280), np.linspace(0, 255, 720))
    picture = np.stack([across, (across + down) / 2, down], axis=2).astype(np.uint8)
    found = numbers(picture)
    assert found["brightness"] == pytest.approx(0.5, abs=0.02)
    assert found["contrast"] == pytest.approx(0.204, abs=0.01)  # √(1/24)
    # Of the lower third, where blue is five sixths, and green between it and red, a half.
    assert found["cast"] == pytest.approx((1 / 2 - 5 / 6) / (1 / 2 + 2 / 3 + 5 / 6), abs=0.02)


def test_sharpness_is_that_of_noise_or_none_whatever_the_contrast():
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    # Second differences of noise have 6 times its variance, and differences twice: √3.
    assert numbers(noise)["sharpness"] == pytest.approx(math.sqrt(3), rel=0.05)
    assert numbers(noise // 8)["sharpness"] == pytest.approx(math.sqrt(3), rel=0.05)
    slope = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0)
    assert numbers(np.repeat(slope, 3, axis=2))["sharpness"] == 0


@pytest.mark.parametrize("sigma", [2.0, 20.0])
def test_noise_is_its_standard_deviation(sigma):
    rng = np.random.default_rng(5)
    picture = np.clip(128 + rng.normal(0, sigma, (300, 300, 3)), 0, 255).round().astype(np.uint8)
    assert numbers(picture)["noise"] == pytest.approx(sigma / 255, rel=0.05)


def test_noise_hides_little_of_what_is_out_of_focus():
    """Sharpness of a blurred photograph stays below that of the sharp one, with noise on it."""
    photograph = data.chelsea()
    soft = np.asarray(Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(4)))
    noise = np.random.default_rng(6).normal(0, 2, soft.shape)
    noisy = np.clip(soft + noise, 0, 255).astype(np.uint8)
    sharp, blurred, both = (numbers(one)["sharpness"] for one in (photograph, soft, noisy))
    assert blurred < both < 0.7 * sharp


def test_what_has_nothing_in_it_has_no_sharpness_and_no_cast():
    black = np.zeros((20, 20, 3), np.uint8)
    assert math.isnan(numbers(black)["sharpness"])
    assert numbers(black)["noise"] == 0
    assert numbers(black)["cast"] == 0
    assert numbers(black)["dark"] == 1
    white = np.full((20, 20, 3), 255, np.uint8)
    assert (numbers(white)["bright"], numbers(white)["brightness"]) == (1, 1)


@pytest.mark.parametrize("shape", [(20, 9, 3), (1, 20, 3), (1, 1, 3)])
def test_small_pictures_have_no_texture(shape):
    found = numbers(np.zeros(shape, np.uint8))
    assert math.isnan(found["sharpness"])
    assert math.isnan(found["noise"])


@pytest.mark.parametrize(("color", "turned"), [("rgb", "bgr"), ("rgba", "bgra")])
def test_the_cast_changes_its_sign_where_colours_are_swapped(color, turned):
    channels = 4 if color == "rgba" else 3
    picture = np.random.default_rng(2).integers(0, 256, (9, 9, channels), dtype=np.uint8)
    picture[:, :, 0] //= 4
    cast = numbers(picture, color)["cast"]
    assert cast < -0.2
    assert numbers(picture, turned)["cast"] == pytest.approx(-cast)


@pytest.mark.parametrize(("color", "code"), [("nv12", "nv12"), ("i420", "i420")])
def test_planes_have_the_light_and_the_cast_of_their_picture(color, code):
    # Y 100, U 90, V 160: redder than grey.
    planes = np.full((12, 8, 1), 100, np.uint8)
    if color == "nv12":
        planes[8:, ::2], planes[8:, 1::2] = 90, 160
    else:
        planes[8:10], planes[10:] = 90, 160
    found = numbers(planes, code)
    assert found["brightness"] == pytest.approx(100 / 255)
    assert found["cast"] == pytest.approx(70 / 255)


@pytest.mark.parametrize("color", ["rgb", "nv12", "i420"])
def test_the_sky_above_is_no_part_of_the_cast(color):
    """Two thirds of it are blue, and the ground is as red."""
    if color == "rgb":
        picture = np.full((12, 8, 3), 100, np.uint8)
        picture[:8, :, 2], picture[8:, :, 0] = 160, 160
        expected = 60 / 360
    else:
        picture = np.full((18, 8, 1), 100, np.uint8)
        chroma = np.full((6, 4, 2), 128, np.uint8)
        chroma[:4, :, 0], chroma[4:, :, 1] = 188, 188
        order = chroma if color == "nv12" else chroma.transpose(2, 0, 1)
        picture[12:] = order.reshape(6, 8, 1)
        expected = 60 / 255
    assert numbers(picture, color)["cast"] == pytest.approx(expected)


def test_other_colours_have_their_own_light_and_cast():
    picture = np.zeros((6, 6, 3), np.uint8)
    picture[:, :] = (100, 150, 200)
    assert numbers(picture, "hsv")["brightness"] == pytest.approx(200 / 255)
    assert math.isnan(numbers(picture, "hsv")["cast"])
    assert numbers(picture, "lab")["brightness"] == pytest.approx(100 / 255)
    assert numbers(picture, "ycrcb")["cast"] == pytest.approx(-50 / 255)
    grey = picture[:, :, :1]
    assert math.isnan(numbers(grey, "grey")["cast"])


@pytest.mark.parametrize("view", ["read-only", "reversed", "every other"])
def test_any_memory_will_do_and_stays_as_it_is(view):
    picture = np.random.default_rng(3).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    seen = {
        "read-only": picture.copy(),
        "reversed": picture[::-1].copy()[::-1],
        "every other": np.repeat(picture, 2, axis=1)[:, ::2],
    }[view]
    seen.flags.writeable = False
    assert numbers(seen) == numbers(picture)


@pytest.mark.parametrize("shape", [(96, 96, 3), (1080, 1920, 3)])
def test_looking_takes_as_long_at_any_size(shape):
    picture = np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)
    times = []
    for _ in range(50):
        began = perf_counter()
        look(picture, "rgb")
        times.append(perf_counter() - began)
    # 50 to 120 µs here, which is 2 to 4 µs for each of 32 pictures; five times that would still be
    # half of what a call may take.
    assert min(times) < 500e-6
