"""Files of transformers as tables, and the same numbers from both.

The files are published ones. Against transformers 5.23 itself, both its torchvision and its Pillow
processors, the same chains differ by at most 1 level of 255 with bilinear, for every class here.
"""

import re

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.importers import from_transformers

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
HALF = {"use": "normalize", "mean": [0.5] * 3, "std": [0.5] * 3}

# google/vit-base-patch16-224.
VIT = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 224},
}
# openai/clip-vit-base-patch32.
CLIP = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "resample": 3,
    "size": 224,
}
# facebook/convnext-tiny-224.
CONVNEXT = {
    "crop_pct": 0.875,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "ConvNextFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "size": 224,
}
# facebook/dinov2-base.
DINOV2 = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "BitImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 256},
}
# apple/mobilevit-small.
MOBILEVIT = {
    "crop_size": 256,
    "do_center_crop": True,
    "do_flip_channel_order": True,
    "do_resize": True,
    "feature_extractor_type": "MobileViTFeatureExtractor",
    "resample": 2,
    "size": 288,
}
# facebook/detr-resnet-50.
DETR = {
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "DetrFeatureExtractor",
    "format": "coco_detection",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "max_size": 1333,
    "size": 800,
}


def named(cls, **keys):
    return {"image_processor_type": f"{cls}ImageProcessor", **keys}


def off(got, want, std=1.0, factor=1 / 255):
    """The largest difference in levels of 0..255."""
    return float(np.abs((got - want) * np.reshape(std, (-1, 1, 1))).max() / factor)


def test_published_files():
    assert from_transformers(VIT) == ({"use": "resize", "size": [224, 224]}, HALF)
    assert from_transformers(CLIP) == (
        {"use": "resize", "size": 224, "mode": "short", "method": "bicubic"},
        {"use": "center-crop", "size": [224, 224]},
        {"use": "normalize", "mean": CLIP_MEAN, "std": CLIP_STD},
    )
    assert from_transformers(DINOV2) == (
        {"use": "resize", "size": 256, "mode": "short", "method": "bicubic"},
        {"use": "center-crop", "size": [224, 224]},
        {"use": "normalize", "mean": list(MEAN), "std": list(STD)},
    )
    assert from_transformers(CONVNEXT) == from_transformers(DINOV2)
    assert from_transformers(MOBILEVIT) == (
        {"use": "resize", "size": 288, "mode": "short"},
        {"use": "center-crop", "size": [256, 256]},
        {"use": "color", "to": "bgr"},
        {"use": "scale"},
    )


def test_all_names_that_a_class_has_had(picture):
    for end in ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"):
        assert from_transformers({"image_processor_type": f"ViT{end}"}) == from_transformers(VIT)


def test_the_file_of_a_whole_processor():
    config = {"processor_class": "CLIPProcessor", "image_processor": VIT}
    assert from_transformers(config) == from_transformers(VIT)


def test_null_is_what_the_class_takes():
    assert from_transformers(VIT | {"size": None, "do_rescale": None}) == from_transformers(VIT)


def test_a_stretched_picture_computes_what_it_did(picture, run, original):
    got = run(from_transformers(VIT), picture)
    assert off(got, original(picture, size=(224, 224), mean=0.5, std=0.5), 0.5) <= 1


def test_a_crop_cuts_halves_off(run, original):
    # (142 - 99) / 2 = 21.5, which is 21 for transformers, and 22 for torchvision.
    picture = np.random.default_rng(1).integers(0, 256, (351, 500, 3), dtype=np.uint8)
    config = CLIP | {"size": 100, "crop_size": 99, "resample": 2}
    got = run(from_transformers(config), picture)
    want = original(picture, short=100, crop=(99, 99), rounding=int, mean=CLIP_MEAN, std=CLIP_STD)
    assert off(got, want, CLIP_STD) <= 1


def test_reversed_channels_compute_what_they_did(picture, run, original):
    want = original(picture, short=288, crop=(256, 256), rounding=int)
    assert off(run(from_transformers(MOBILEVIT), picture), want[::-1]) <= 1


@pytest.mark.parametrize(
    ("keys", "factor", "mean", "std"),
    [
        ({"do_normalize": False}, 1 / 255, 0.0, 1.0),
        ({"do_rescale": False, "image_mean": 120.0, "image_std": 60.0}, 1.0, 120.0, 60.0),
        ({"do_rescale": False, "do_normalize": False}, 1.0, 0.0, 1.0),
        ({"rescale_factor": 1 / 127.5, "image_mean": 1, "image_std": 1}, 1 / 127.5, 1.0, 1.0),
        ({"rescale_factor": 1 / 127.5, "do_normalize": False}, 1 / 127.5, 0.0, 1.0),
        # As a float32 that was stored.
        ({"rescale_factor": 0.003921568859368563}, 1 / 255, 0.5, 0.5),
    ],
)
def test_numbers_compute_what_they_did(keys, factor, mean, std, picture, run, original):
    got = run(from_transformers(VIT | keys), picture)
    want = original(picture, size=(224, 224), factor=factor, mean=mean, std=std)
    assert off(got, want, std, factor) <= 1


@pytest.mark.parametrize(
    ("keys", "want"),
    [
        # Divided by the deviation twice, as in Keras.
        ({}, lambda x: (x / 255 - 0.5) / 0.5 / 0.5),
        ({"include_top": False}, lambda x: (x / 255 - 0.5) / 0.5),
        ({"do_normalize": False}, lambda x: x / 255 / 0.5),
        (
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": False},
            lambda x: (x / 127.5 - 1 - 0.5) / 0.5,
        ),
        (
            {
                "rescale_factor": 1 / 127.5,
                "rescale_offset": True,
                "do_normalize": False,
                "include_top": False,
            },
            lambda x: x / 127.5 - 1,
        ),
    ],
)
def test_efficientnet_computes_what_it_did(keys, want, run):
    levels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    config = named("EfficientNet", do_resize=False, **keys)
    expected = want(levels.astype(np.float64)).transpose(2, 0, 1)
    np.testing.assert_allclose(run(from_transformers(config), levels), expected, atol=1e-5)


def test_convnext_crops_small_pictures_and_warps_large_ones():
    warped = CONVNEXT | {"size": {"shortest_edge": 384}, "resample": 2}
    assert from_transformers(warped)[0] == {"use": "resize", "size": [384, 384]}
    # int(224 / 0.95), and not 236.
    cropped = from_transformers(CONVNEXT | {"crop_pct": 0.95, "resample": 2})
    assert cropped[:2] == (
        {"use": "resize", "size": 235, "mode": "short"},
        {"use": "center-crop", "size": [224, 224]},
    )


def test_levit_and_poolformer_resize_to_more_than_they_say():
    def resize(cls, **keys):
        return from_transformers(named(cls, resample=2, **keys))[0]

    assert resize("Levit") == {"use": "resize", "size": 256, "mode": "short"}
    assert resize("Levit", size={"height": 9, "width": 8}, do_center_crop=False) == {
        "use": "resize",
        "size": [9, 8],
    }
    # int(224 / 0.9).
    short = {"use": "resize", "size": 248, "mode": "short"}
    assert resize("PoolFormer") == short
    assert resize("PoolFormer", size={"height": 224, "width": 224}) == short
    warped = resize("PoolFormer", size={"height": 90, "width": 180}, do_center_crop=False)
    assert warped == {"use": "resize", "size": [100, 200]}


def test_one_length_is_a_square_or_the_shorter_side_as_the_class_says():
    square = from_transformers(named("ViT", size=96))[0]
    assert square == {"use": "resize", "size": [96, 96]}
    assert from_transformers(named("ViT", size=[96, 97]))[0]["size"] == [96, 97]
    short = from_transformers(named("MobileNetV1", size=256))[0]
    assert short == {"use": "resize", "size": 256, "mode": "short"}


def test_the_file_may_say_what_one_length_means():
    def resize(cls, *, square, **keys):
        return from_transformers(named(cls, default_to_square=square, resample=2, **keys))[0]

    square = {"use": "resize", "size": [96, 96]}
    short = {"use": "resize", "size": 96, "mode": "short"}
    for cls in ("ViT", "MobileNetV1"):
        assert resize(cls, size=96, square=True, do_center_crop=False) == square
        assert resize(cls, size=96, square=False, do_center_crop=False) == short
    assert resize("ViT", size={"height": 96, "width": 96}, square=False) == square
    # A crop is a square whatever the file says.
    crop = from_transformers(named("CLIP", size=96, crop_size=90, default_to_square=False))[1]
    assert crop == {"use": "center-crop", "size": [90, 90]}


def test_siglip_reads_one_length_as_the_shorter_side():
    assert from_transformers(named("Siglip", resample=2))[0]["size"] == [224, 224]
    assert from_transformers(named("Siglip", resample=2, size=224))[0]["mode"] == "short"


def test_detectors_with_a_fixed_size_and_borders_for_batches():
    size = {"height": 640, "width": 640}
    plain = {"use": "resize", "size": [640, 640]}
    assert from_transformers(named("RTDetr")) == (plain, {"use": "scale"})
    config = {key: value for key, value in DETR.items() if key != "max_size"}
    assert from_transformers(config | {"size": size, "do_pad": True})[0] == plain


def test_a_crop_without_a_resize():
    config = named("CLIP", do_resize=False, crop_size=8, do_normalize=False)
    assert from_transformers(config) == ({"use": "center-crop", "size": [8, 8]}, {"use": "scale"})


def test_a_crop_that_cuts_nothing_off_is_left_out():
    config = named("DeiT", size=224, crop_size=224, resample=2)
    assert from_transformers(config) == ({"use": "resize", "size": [224, 224]}, HALF)


def refused(config, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_transformers(config)


def test_a_file_that_does_not_name_its_class():
    refused(
        {"size": 224},
        "image_processor_type: must name the class, whose defaults count where a key is absent, "
        "got None; add it, such as 'ViTImageProcessor'",
    )


def test_classes_that_do_more_than_stages_say():
    rule = "must be a class whose every step is a stage"
    with pytest.raises(
        RecipeError, match=f"^image_processor_type: {rule}, got 'SamImageProcessor'"
    ):
        from_transformers({"image_processor_type": "SamImageProcessor"})
    refused(
        {"image_processor": {"feature_extractor_type": "ConvNexttImageProcessor"}},
        f"image_processor.feature_extractor_type: {rule}, got 'ConvNexttImageProcessor'; did you "
        "mean 'ConvNext'?; for others write the stages by hand",
    )


def test_detectors_that_limit_the_longer_side():
    refused(
        named("Detr", size=800, default_to_square=True),
        "size: must be {'height': …, 'width': …}, as no stage limits the longer side, got 800; "
        "fine-tune with a fixed size, or write the resize by hand",
    )
    refused(
        DETR,
        "max_size: must be absent, as no stage limits the longer side, got 1333; "
        "fine-tune with a fixed size, or write the resize by hand",
    )
    refused(
        named("Detr"),
        "size: must be {'height': …, 'width': …}, as no stage limits the longer side, got None; "
        "fine-tune with a fixed size, or write the resize by hand",
    )
    refused(
        named("Detr", size={"shortest_edge": 800, "longest_edge": 1333}),
        "size: must have height and width, or shortest_edge alone, as no stage limits the longer "
        "side, got {'shortest_edge': 800, 'longest_edge': 1333}; "
        "fine-tune with a fixed size, or write the resize by hand",
    )


@pytest.mark.parametrize(
    "key", ["ensure_multiple_of", "do_flip_channel_order", "crop_pct", "pad_size"]
)
def test_keys_that_this_class_does_not_have(key):
    refused(
        VIT | {key: 32},
        f"{key}: must be a key whose meaning is known, got {key!r}; "
        "delete it if it does not change pixels, else write these stages by hand",
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"resample": 1},
            (
                "resample: must be bilinear or bicubic (2 or 3 as Pillow counts), got 'lanczos'; "
                "no other way to resize means the same in every engine; fine-tune with one of these"
            ),
        ),
        ({"do_resize": "yes"}, "do_resize: must be true or false, got 'yes'"),
        ({"size": 8, "default_to_square": 0}, "default_to_square: must be true or false, got 0"),
        ({"size": {"height": 8, "width": 0}}, "size.width: must be at least 1 pixel, got 0"),
        ({"size": [1, 2, 3]}, "size: must be a length, or [height, width], got [1, 2, 3]"),
        ({"size": "8"}, "size: must be a whole number of pixels, got '8'"),
        (
            {"do_center_crop": True, "crop_size": 256},
            (
                "crop_size: must be at most [224, 224], which arrives, got [256, 256]; "
                "transformers would fill the rest with black: fine-tune with a larger size"
            ),
        ),
        (
            {"do_center_crop": True},
            "crop_size: must be a whole number of pixels, got None",
        ),
        (
            {"image_mean": [0.5] * 4},
            "image_mean: must be 3 numbers, one a channel, got [0.5, 0.5, 0.5, 0.5]",
        ),
        ({"image_std": [0.5, 0, 0.5]}, "image_std: must be above 0, got 0.0"),
        ({"rescale_factor": 0}, "rescale_factor: must be above 0, got 0.0"),
        (
            {"rescale_factor": 1e-320},
            "rescale_factor: must be at least 1e-06 and at most 1e+06, got 1e-320",
        ),
        (
            {"rescale_factor": 10**400},
            f"rescale_factor: must be a finite number, got 1{'0' * 76}...",
        ),
        ({"image_mean": 10**400}, f"image_mean: must be a finite number, got 1{'0' * 76}..."),
        ({"image_processor_type": 5}, "image_processor_type: must be a string, got 5"),
    ],
)
def test_values_that_are_wrong(keys, message):
    refused(VIT | keys, message)


@pytest.mark.parametrize("mean", [-1e6, 1e6])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("std", [1e-6, 1e6])
def test_the_most_extreme_numbers_leave_finite_pictures(mean, std, factor, run):
    numbers = {"image_mean": mean, "image_std": std, "rescale_factor": factor}
    levels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    for config in (VIT | numbers, named("EfficientNet", **numbers)):
        got = run(from_transformers(config | {"do_resize": False}), levels)
        assert np.isfinite(got).all()


def test_what_else_only_some_classes_ask_for():
    refused(
        named("ConvNext", size={"height": 8, "width": 8}),
        "size: must be {'shortest_edge': …} for ConvNeXT, got {'height': 8, 'width': 8}",
    )
    refused(
        named("ConvNext", crop_pct=1.5, size=8),
        "crop_pct: must be at least 0.01 and at most 1, got 1.5",
    )
    refused(
        named("DINOv3ViT", resample=3),
        "resample: must be 2, bilinear, for a class that resizes floats, which 3 takes out of "
        "0..1, got 3; fine-tune with 2",
    )
    refused(
        named("CLIP", do_pad=True, do_center_crop=False),
        "do_pad: must be false where pictures of many sizes come, got True; "
        "fine-tune with a fixed size",
    )


def test_dpt_with_a_fixed_size():
    # depth-anything/Depth-Anything-V2-Small-hf, but for the aspect ratio.
    config = named(
        "DPT",
        do_pad=False,
        ensure_multiple_of=14,
        keep_aspect_ratio=False,
        resample=2,
        size={"height": 518, "width": 518},
        size_divisor=None,
    )
    assert from_transformers(config) == ({"use": "resize", "size": [518, 518]}, HALF)
    refused(
        config | {"keep_aspect_ratio": True},
        "keep_aspect_ratio: must be false, as no stage chooses a size for each picture, got True; "
        "fine-tune with a fixed size, or write the resize by hand",
    )
    refused(
        config | {"size": 518, "default_to_square": False},
        "size: must be {'height': …, 'width': …} for DPT, got 518",
    )
    refused(
        config | {"size": [518, 520]},
        "ensure_multiple_of: must divide size, [518, 520], got 14; change size",
    )
