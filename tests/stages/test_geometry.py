"""Sizes and offsets, worked out by hand."""

import numpy as np
import pytest

from edgeprep.errors import ImageTooLarge, RecipeError, ShapeError
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec


def prepared(stage, picture):
    return Chain(input=ImageSpec(), stages=(stage,)).prepare(picture)[0]


def static_size(stage, height, width):
    image = stage.output(ImageSpec(height=height, width=width))
    return image.height, image.width


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((427, 640), 256, (256, 383)),  # 383.7, which others round to 384
        ((640, 427), 256, (383, 256)),
        ((100, 100), 32, (32, 32)),
        ((10, 1000), 3, (3, 300)),
        ((3, 5), 7, (7, 11)),
    ],
)
def test_short_truncates_the_longer_side(noise, size, short, expected):
    stage = Resize(size=short, mode="short")
    assert static_size(stage, *size) == expected
    assert prepared(stage, noise(*size)).shape[:2] == expected


@pytest.mark.parametrize(
    ("size", "box", "inside"),
    [
        ((427, 640), (640, 640), (slice(106, 533), slice(0, 640))),  # 213 rows over: 106 above
        ((720, 1280), (64, 64), (slice(14, 50), slice(0, 64))),
        ((1280, 720), (64, 64), (slice(0, 64), slice(14, 50))),
        ((10, 4), (5, 5), (slice(0, 5), slice(1, 3))),
        # 3 · 0.5 = 1.5 and 5 · 0.5 = 2.5 both become 2: halves go to even.
        ((3, 10), (5, 5), (slice(1, 3), slice(0, 5))),
        ((5, 10), (5, 5), (slice(1, 3), slice(0, 5))),
        ((1, 1000), (5, 5), (slice(2, 3), slice(0, 5))),  # never less than one row
    ],
)
def test_letterbox_keeps_the_ratio_and_centres(size, box, inside):
    picture = np.full((*size, 3), 200, np.uint8)
    expected = np.full((*box, 3), 114, np.uint8)
    expected[inside] = 200
    assert np.array_equal(prepared(Resize(size=box, mode="letterbox"), picture), expected)


def test_letterbox_fills_with_the_level_that_is_asked_for():
    picture = np.full((2, 4, 3), 200, np.uint8)
    result = prepared(Resize(size=(4, 4), mode="letterbox", fill=0), picture)
    assert result[:, 0, 0].tolist() == [0, 200, 200, 0]


@pytest.mark.parametrize(("height", "first"), [(5, 0), (6, 0), (7, 1), (8, 1), (9, 2), (12, 3)])
def test_the_crop_of_an_odd_remainder_leans_to_the_top_left(height, first):
    picture = np.arange(height, dtype=np.uint8)[:, None, None].repeat(3, 2).repeat(5, 1)
    assert prepared(CenterCrop(size=(5, 5)), picture)[0, 0, 0] == first


@pytest.mark.parametrize(("height", "first"), [(5, 0), (6, 0), (7, 1), (8, 2), (9, 2), (12, 4)])
def test_the_crop_of_torchvision_rounds_halves_to_even(height, first):
    # Differences of 0, 1, 2, 3, 4 and 7: int(round(d / 2)).
    picture = np.arange(height, dtype=np.uint8)[:, None, None].repeat(3, 2).repeat(5, 1)
    assert prepared(CenterCrop(size=(5, 5), rounding="torchvision"), picture)[0, 0, 0] == first


def test_pad_to_a_size_leans_to_the_top_left():
    picture = np.full((2, 3, 3), 9, np.uint8)
    expected = np.full((5, 5, 3), 77, np.uint8)
    expected[1:3, 1:4] = 9
    assert np.array_equal(prepared(Pad(size=(5, 5), value=77), picture), expected)


def test_pad_adds_each_border():
    picture = np.full((1, 1, 3), 9, np.uint8)
    result = prepared(Pad(top=1, bottom=2, left=3, right=4), picture)
    assert result.shape == (4, 8, 3)
    assert np.argwhere(result[..., 0]).tolist() == [[1, 3]]


def test_a_free_size_stays_free_through_short_and_pad():
    free = ImageSpec()
    assert not Resize(size=64, mode="short").output(free).is_fixed
    assert not Pad(top=1).output(free).is_fixed
    assert Pad(top=1).output(ImageSpec(height=4, width=4)).height == 5


def test_a_picture_that_is_too_small_to_crop_is_refused(noise):
    with pytest.raises(ShapeError, match="picture") as caught:
        prepared(CenterCrop(size=(8, 8)), noise(7, 20))
    assert str(caught.value) == (
        "picture: must have at least (8, 8) pixels (height, width) to be cropped, got (7, 20)"
    )


def test_a_picture_that_is_too_large_to_pad_is_refused(noise):
    with pytest.raises(ShapeError, match="picture") as caught:
        prepared(Pad(size=(8, 8)), noise(7, 20))
    assert str(caught.value) == (
        "picture: must have at most (8, 8) pixels (height, width) to be padded, got (7, 20)"
    )


def test_a_line_does_not_become_gigabytes(noise):
    with pytest.raises(ImageTooLarge, match="picture") as caught:
        prepared(Resize(size=256, mode="short"), noise(1, 10_000))
    assert str(caught.value) == (
        "picture: must have at most 67108864 pixels once resized, "
        "got (256, 2560000) (height, width) from (1, 10000)"
    )


def test_borders_do_not_become_gigabytes(noise):
    with pytest.raises(ImageTooLarge, match="picture") as caught:
        prepared(Pad(top=16384, left=4097), noise(7, 20))
    assert str(caught.value) == (
        "picture: must have at most 67108864 pixels once padded, "
        "got (16391, 4117) (height, width) from (7, 20)"
    )


def test_the_largest_size_is_taken():
    free = ImageSpec()
    for stage in (
        Resize(size=(16384, 4096)),
        CenterCrop(size=(4096, 16384)),
        Pad(size=(8192,) * 2),
    ):
        assert stage.output(free).is_fixed
    assert Pad(bottom=8192 - 7, right=8192 - 20).output(ImageSpec(height=7, width=20)).width == 8192


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        pytest.param(
            CenterCrop(size=(8, 8)),
            "needs pictures of at least [8, 8] pixels, got [7, 20]; resize first",
            id="crop",
        ),
        pytest.param(
            Pad(size=(8, 8)),
            "needs pictures of at most [8, 8] pixels, got [7, 20]; resize or crop first",
            id="pad",
        ),
    ],
)
def test_a_size_that_cannot_be_is_found_before_any_picture(stage, message):
    with pytest.raises(RecipeError, match="needs") as caught:
        stage.output(ImageSpec(height=7, width=20))
    assert str(caught.value) == message
