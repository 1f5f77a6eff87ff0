"""Configurations of timm as tables, and the same numbers from both.

The configurations are published ones, shortened. Against timm 1.0.31 itself, every one of its 1826
pretrained configurations is imported but three, which crop more than there is.
"""

import re

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import RecipeError
from edgeprep.importers import from_timm

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# config.json of timm/resnet50.a1_in1k.
RESNET50 = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "custom_load": False,
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "test_crop_pct": 1.0,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 1000,
        "pool_size": [7, 7],
        "first_conv": "conv1",
        "classifier": "fc",
    },
}
# pretrained_cfg of mixer_b16_224.miil_in21k.
MIXER = {
    "input_size": [3, 224, 224],
    "interpolation": "bilinear",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}
# The two others are as in vit_base_patch16_sapiens2.fb and deepseek_vit_412m, in bilinear.
SQUASH = {
    "input_size": (3, 128, 96),
    "interpolation": "bilinear",
    "crop_pct": 0.9,
    "crop_mode": "squash",
    "mean": MEAN,
    "std": STD,
}
BORDER = {
    "input_size": (3, 98, 98),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "crop_mode": "border",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}


def off(got, want, std=1.0):
    """The largest difference in levels of 0..255."""
    return float(np.abs((got - want) * np.reshape(std, (-1, 1, 1))).max() * 255)


def test_a_published_configuration():
    normalize = {"use": "normalize", "mean": list(MEAN), "std": list(STD)}
    assert from_timm(RESNET50) == (
        # 224 / 0.95 is 235.79.
        {"use": "resize", "size": 235, "mode": "short", "method": "bicubic"},
        {"use": "center-crop", "size": [224, 224], "rounding": "torchvision"},
        normalize,
    )
    assert from_timm(RESNET50["pretrained_cfg"]) == from_timm(RESNET50)
    assert from_timm(RESNET50, size="test") == (
        {"use": "resize", "size": 288, "mode": "short", "method": "bicubic"},
        {"use": "center-crop", "size": [288, 288], "rounding": "torchvision"},
        normalize,
    )


def test_without_sizes_for_tests_those_of_training_count():
    assert from_timm(MIXER, size="test") == from_timm(MIXER)


def test_what_is_not_said_is_what_timm_takes():
    given = {"input_size": [3, 224, 224], "crop_pct": None, "mean": []}
    assert from_timm(given) == (
        {"use": "resize", "size": 256, "mode": "short", "method": "bicubic"},
        {"use": "center-crop", "size": [224, 224], "rounding": "torchvision"},
        {"use": "normalize", "mean": list(MEAN), "std": list(STD)},
    )


def test_a_mean_of_0_and_std_of_1_are_a_scale(picture, run, original):
    tables = from_timm(MIXER)
    assert tables[-1] == {"use": "scale"}
    want = original(picture, short=256, crop=(224, 224))
    assert off(run(tables, picture), want) <= 1


def test_squashed_pictures_lose_their_aspect_ratio(picture, run, original):
    tables = from_timm(SQUASH)
    # 128 / 0.9 is 142.2, 96 / 0.9 is 106.7.
    assert tables[0] == {"use": "resize", "size": [142, 106]}
    want = original(picture, size=(142, 106), crop=(128, 96), mean=MEAN, std=STD)
    assert off(run(tables, picture), want, STD) <= 1


def test_squashed_pictures_that_are_not_cropped_need_no_crop():
    tables = from_timm(SQUASH | {"crop_pct": 1.0})
    assert [table["use"] for table in tables] == ["resize", "normalize"]


def test_pictures_with_a_border_of_the_mean(picture, run):
    tables = from_timm(BORDER)
    # 127.5 is 128, as Python rounds halves to even.
    box = {"use": "resize", "size": [98, 98], "mode": "letterbox", "fill": 128}
    assert tables[0] == box
    assert from_timm(BORDER | {"interpolation": "bicubic"})[0] == box | {"method": "bicubic"}
    height, width = picture.shape[:2]
    ratio = max(height, width) / 98
    size = round(height / ratio), round(width / ratio)
    resized = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    want = np.full((98, 98, 3), 128.0)
    top, left = (98 - size[0]) // 2, (98 - size[1]) // 2
    want[top : top + size[0], left : left + size[1]] = np.asarray(resized)
    assert off(run(tables, picture), (want.transpose(2, 0, 1) / 255 - 0.5) / 0.5, [0.5]) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"input_size": None},
            (
                "input_size: must be [3, height, width], got None; it is in a model's "
                "pretrained_cfg, and in its config.json"
            ),
        ),
        ({"input_size": [1, 8, 8]}, "input_size: must be [3, height, width], got [1, 8, 8]"),
        ({"input_size": 224}, "input_size: must be [3, height, width], got 224"),
        ({"input_size": [3, 0, 8]}, "input_size[1]: must be at least 1 pixel, got 0"),
        (
            {"input_size": [3, 224, 192]},
            (
                "input_size: must be square for crop_mode 'center', got [3, 224, 192]; no stage "
                "resizes until a picture covers a rectangle"
            ),
        ),
        (
            {"crop_pct": 1.15},
            (
                "crop_pct: must be at least 0.01 and at most 1, got 1.15; beyond 1 timm crops more "
                "than there is, and fills with black; fine-tune with 1"
            ),
        ),
        ({"crop_pct": "0.9"}, "crop_pct: must be a number, got '0.9'"),
        ({"crop_mode": 5}, "crop_mode: must be a string, got 5"),
        (
            {"crop_mode": "centre"},
            "crop_mode: must be 'center', 'squash' or 'border', got 'centre'",
        ),
        (
            {"crop_mode": "border", "crop_pct": 0.9},
            (
                "crop_pct: must be 1 for crop_mode 'border', got 0.9; no stage pads one side and "
                "crops the other"
            ),
        ),
        (
            {"crop_mode": "border", "crop_pct": 1, "mean": MEAN},
            (
                "mean: must be one level for all channels for crop_mode 'border', which fills with "
                "it, got [0.485, 0.456, 0.406]; fine-tune with crop_mode 'center'"
            ),
        ),
        ({"mean": [0.5, 0.5]}, "mean: must be 3 numbers, one a channel, got [0.5, 0.5]"),
        ({"std": [0.5, -1, 0.5]}, "std: must be above 0, got -1.0"),
        ({"std": 1e-320}, "std: must be at least 1e-06 and at most 1e+06, got 1e-320"),
        ({"mean": 1e30}, "mean: must be at least -1e+06 and at most 1e+06, got 1e+30"),
        ({"mean": [10**400]}, f"mean[0]: must be a finite number, got 1{'0' * 76}..."),
        ({"mean": [10**5000]}, "mean[0]: must be a finite number, got a very large int"),
        ({"crop_pct": 1e-320}, "crop_pct: must be at least 0.01 and at most 1, got 1e-320"),
        (
            {"input_size": [3, 10**400, 8]},
            f"input_size[1]: must be at most 16384 pixels, got 1{'0' * 76}...",
        ),
        (
            {"interpolation": "random"},
            (
                "interpolation: must be bilinear or bicubic (2 or 3 as Pillow counts), got "
                "'random'; no other way to resize means the same in every engine; fine-tune with "
                "one of these"
            ),
        ),
    ],
)
def test_what_no_stage_does_is_refused(change, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_timm(MIXER | change)


def test_faults_inside_a_config_json_have_their_path():
    config = {"pretrained_cfg": RESNET50["pretrained_cfg"] | {"crop_mode": "centre"}}
    with pytest.raises(RecipeError, match=r"^pretrained_cfg\.crop_mode: must be 'center', "):
        from_timm(config)
    with pytest.raises(RecipeError, match=r"^pretrained_cfg: must be an object with keys, got 5$"):
        from_timm({"pretrained_cfg": 5})
