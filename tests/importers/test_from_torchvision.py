"""Transforms of torchvision as tables, and the same numbers from both.

The originals are computed from torchvision's documented formulas with Pillow and numpy. Against
torchvision 0.28 itself, which cannot be installed beside the engines, the same chains differ by at
most 1 level of 255 with bilinear.
"""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgeprep.importers import from_torchvision

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZE = {"use": "normalize", "mean": list(MEAN), "std": list(STD)}
# Pillow rounds to whole levels after each of its two passes, half a level at most each.
LEVEL = 1.0


def levels(difference: Any, std: Any = 1.0, factor: float = 1 / 255) -> float:
    """The largest difference in levels of 0..255."""
    return float(np.abs(difference * np.reshape(std, (-1, 1, 1)) / factor).max())


def classifier(v1, **options):
    return v1.Compose(
        [v1.Resize(256, **options), v1.CenterCrop(224), v1.ToTensor(), v1.Normalize(MEAN, STD)]
    )


def test_what_classifiers_are_trained_with(v1):
    assert from_torchvision(classifier(v1)) == (
        {"use": "resize", "size": 256, "mode": "short"},
        {"use": "center-crop", "size": [224, 224], "rounding": "torchvision"},
        NORMALIZE,
    )


def test_a_classifier_computes_what_it_did(v1, picture, run, original):
    got = run(from_torchvision(classifier(v1)), picture)
    want = original(picture, short=256, crop=(224, 224), mean=MEAN, std=STD)
    assert levels(got - want, STD) <= LEVEL


def test_the_longer_side_is_cut_off_and_the_crop_rounds_half_to_even(v1, run, original):
    # 500 of 351 makes 142.45, and (142 - 99) / 2 = 21.5, which is 22 for torchvision.
    picture = np.random.default_rng(1).integers(0, 256, (351, 500, 3), dtype=np.uint8)
    transform = v1.Compose([v1.Resize(100), v1.CenterCrop(99), v1.ToTensor()])
    want = original(picture, short=100, crop=(99, 99))
    floored = original(picture, short=100, crop=(99, 99), rounding=int)
    got = run(from_torchvision(transform), picture)
    assert levels(got - want) <= LEVEL
    assert levels(got - floored) > 50


def test_both_sides_at_once(v1, picture, run, original):
    got = run(from_torchvision(v1.Compose([v1.Resize((97, 131)), v1.ToTensor()])), picture)
    assert levels(got - original(picture, size=(97, 131))) <= LEVEL


def test_the_second_version_says_the_same(v1, v2):
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.uint8, scale=True),
            v2.Resize(256, antialias=True),
            v2.CenterCrop(224),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean=list(MEAN), std=list(STD)),
            v2.ToPureTensor(),
        ]
    )
    assert from_torchvision(transform) == from_torchvision(classifier(v1))


def test_what_weights_give_says_the_same(v1):
    assert from_torchvision(v1.ImageClassification(crop_size=224)) == from_torchvision(
        classifier(v1)
    )


def test_numbers_of_pillow_and_names_are_ways_to_resize(v1, v2):
    bicubic = {"use": "resize", "size": 8, "mode": "short", "method": "bicubic"}
    for resize in (v1.Resize(8, interpolation=3), v2.Resize(8, interpolation="bicubic")):
        assert from_torchvision(v1.Compose([resize, v1.PILToTensor()])) == (bicubic,)


def test_bicubic_is_pillows(v1, picture, run, original):
    transform = classifier(v1, interpolation=3)
    want = original(
        picture,
        short=256,
        crop=(224, 224),
        resample=Image.Resampling.BICUBIC,
        mean=MEAN,
        std=STD,
    )
    off = np.abs(run(from_torchvision(transform), picture) - want) * np.reshape(STD, (-1, 1, 1))
    # Pillow clips between its passes, too, so that beside the sharpest edges it is levels off.
    assert np.quantile(off * 255, 0.99) <= 1.1
    assert off.mean() * 255 <= 0.35


def test_tensors_of_old_releases_are_not_antialiased_and_pil_images_are(v1):
    def tables(antialias, pictures):
        return from_torchvision(v1.Resize((8, 8), antialias=antialias), pictures=pictures)

    plain = {"use": "resize", "size": [8, 8]}
    for antialias in (False, None, "warn"):
        assert tables(antialias, "tensor") == (plain | {"antialias": False},)
        assert tables(antialias, "pil") == (plain,)


@pytest.mark.parametrize(
    ("before", "after", "antialias"),
    [
        ("", "ToTensor", None),
        ("", "PILToTensor", None),
        ("ToPILImage", "ToTensor", None),
        ("PILToTensor", "", False),
        ("ToTensor", "", False),
    ],
)
def test_the_other_transforms_tell_what_a_resize_gets(v1, before, after, antialias):
    steps = [before and getattr(v1, before)(), v1.Resize((8, 8), antialias=False)]
    steps += [after and getattr(v1, after)()]
    (resize, *_) = from_torchvision(v1.Compose([step for step in steps if step]))
    assert resize.get("antialias") is antialias


def test_an_image_of_the_second_version_may_be_either(v2):
    transform = v2.Compose([v2.ToImage(), v2.Resize((8, 8), antialias=False)])
    assert from_torchvision(transform) == ({"use": "resize", "size": [8, 8], "antialias": False},)


def test_without_a_mean_there_is_a_scale(v1, v2):
    assert from_torchvision(v1.ToTensor()) == ({"use": "scale"},)
    assert from_torchvision(v1.ConvertImageDtype(torch.float32)) == ({"use": "scale"},)
    assert from_torchvision(v2.ToDtype(torch.float32, scale=True)) == ({"use": "scale"},)


def test_what_is_not_scaled_has_its_mean_in_levels(v2):
    steps = [v2.PILToTensor(), v2.ToDtype(torch.float32), v2.Normalize([127.5], [64.0])]
    mean, std = [127.5] * 3, [64.0] * 3
    table = {"use": "normalize", "mean": mean, "std": std, "unit": "0..255"}
    assert from_torchvision(v2.Compose(steps)) == (table,)


def test_a_dtype_for_each_kind_of_value_is_that_of_pictures(v2):
    class Image:
        """As torchvision.tv_tensors.Image."""

    for dtype in ({Image: torch.float32, "others": None}, {"others": torch.float32}):
        assert from_torchvision(v2.ToDtype(dtype, scale=True)) == ({"use": "scale"},)
    assert from_torchvision(v2.ToDtype({"Mask": torch.int64})) == ()


def test_pictures_that_stay_whole_numbers_need_no_table(v1):
    assert from_torchvision(v1.PILToTensor()) == ()


def test_statistics_may_be_tensors_of_float32(v1):
    steps = [v1.ToTensor(), v1.Normalize(torch.tensor(MEAN), torch.tensor(STD))]
    assert from_torchvision(v1.Compose(steps)) == (NORMALIZE,)


def test_one_number_counts_for_all_channels(v1):
    transform = v1.Compose([v1.ToTensor(), v1.Normalize(0.5, [0.25])])
    assert from_torchvision(transform) == (
        {"use": "normalize", "mean": [0.5] * 3, "std": [0.25] * 3},
    )


def test_grey_is_one_channel_with_one_mean(v1, picture, run):
    transform = v1.Compose([v1.Grayscale(), v1.ToTensor(), v1.Normalize([0.5], [0.25])])
    tables = from_torchvision(transform)
    assert tables == (
        {"use": "color", "to": "grey"},
        {"use": "normalize", "mean": [0.5], "std": [0.25]},
    )
    want = (np.asarray(Image.fromarray(picture).convert("L")) / 255.0 - 0.5) / 0.25
    # Pillow's weights have 16 bits, ours 15: where they round to two levels, float32 adds its own.
    assert levels(run(tables, picture)[0] - want, [0.25]) <= LEVEL + 1e-4


def test_grey_in_three_channels(v1, v2):
    grey = ({"use": "color", "to": "grey"}, {"use": "color", "to": "rgb"})
    assert from_torchvision(v1.Grayscale(3)) == grey
    assert from_torchvision(v2.Compose([v2.Grayscale(), v2.RGB(), v2.RGB()])) == grey


@pytest.mark.parametrize(
    ("padding", "borders"),
    [
        (3, {"top": 3, "bottom": 3, "left": 3, "right": 3}),
        ([3], {"top": 3, "bottom": 3, "left": 3, "right": 3}),
        ((3, 5), {"top": 5, "bottom": 5, "left": 3, "right": 3}),
        ((1, 2, 3, 0), {"top": 2, "left": 1, "right": 3}),
    ],
)
def test_padding_is_left_top_right_bottom(v1, padding, borders):
    assert from_torchvision(v1.Pad(padding)) == ({"use": "pad", **borders},)


def test_the_fill_is_in_the_unit_of_the_values(v1):
    pad = {"use": "pad", "top": 1, "bottom": 1, "left": 1, "right": 1}
    assert from_torchvision(v1.Pad(1, fill=(7, 7, 7))) == (pad | {"value": 7},)
    assert from_torchvision(v1.Pad(1, fill=None)) == (pad,)
    assert from_torchvision(v1.Compose([v1.ToTensor(), v1.Pad(1, fill=1.0)])) == (
        pad | {"value": 255},
        {"use": "scale"},
    )
    assert from_torchvision(v1.Pad(0)) == ()


def test_padding_computes_what_it_did(v1, picture, run):
    transform = v1.Compose([v1.Resize((60, 70)), v1.Pad((1, 2, 3, 4), fill=9), v1.ToTensor()])
    resized = np.asarray(Image.fromarray(picture).resize((70, 60), Image.Resampling.BILINEAR))
    want = np.pad(resized, ((2, 4), (1, 3), (0, 0)), constant_values=9).transpose(2, 0, 1) / 255
    assert levels(run(from_torchvision(transform), picture) - want) <= LEVEL


def test_compositions_may_lie_in_each_other_and_in_modules(v1):
    inner = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    outer = v1.Compose([inner, v1.Compose([v1.Resize((8, 8)), v1.CenterCrop(8)]), v1.ToTensor()])
    # The crop has nothing to cut off.
    assert from_torchvision(outer) == ({"use": "resize", "size": [8, 8]}, {"use": "scale"})
