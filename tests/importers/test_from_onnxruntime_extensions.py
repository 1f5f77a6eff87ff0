"""Image processors of ONNX Runtime Extensions as tables."""

import re

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import RecipeError
from edgeprep.importers import from_onnxruntime_extensions

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def processor(*steps):
    """A document of these steps, each a type and its attributes."""
    transforms = [
        {"operation": {"name": kind.lower(), "type": kind, **({"attrs": attrs} if attrs else {})}}
        for kind, attrs in steps
    ]
    return {"processor": {"name": "image_processing", "transforms": transforms}}


DECODE = ("DecodeImage", {"color_space": "RGB"})
FIRST = ("Permute3D", {"dims": [2, 0, 1]})
# As the library's own example for CLIP, with the aspect ratio said and in bilinear.
CLIP = processor(
    DECODE,
    (
        "Resize",
        {"interpolation": "LINEAR", "width": 231, "height": 224, "keep_aspect_ratio": 0},
    ),
    ("CenterCrop", {"width": 224, "height": 224}),
    ("Rescale", {}),
    ("Normalize", {"mean": MEAN, "std": STD}),
    FIRST,
)


def test_a_published_example(picture, run):
    tables = from_onnxruntime_extensions(CLIP)
    assert tables == (
        {"use": "resize", "size": [224, 231]},
        {"use": "center-crop", "size": [224, 224]},
        {"use": "normalize", "mean": MEAN, "std": STD},
    )
    resized = np.asarray(Image.fromarray(picture).resize((231, 224), Image.Resampling.BILINEAR))
    # (231 - 224) / 2 is 3.5, cut off.
    want = ((resized[:, 3:227] / 255.0 - MEAN) / STD).transpose(2, 0, 1)
    off = np.abs(run(tables, picture) - want) * np.reshape(STD, (3, 1, 1)) * 255
    assert off.max() <= 1


def test_what_is_not_said_is_what_the_library_takes():
    steps = (("Resize", {"keep_aspect_ratio": 0}), ("CenterCrop", {}), ("Rescale", {}))
    assert from_onnxruntime_extensions(processor(*steps, ("Normalize", {}), FIRST)) == (
        {"use": "resize", "size": [256, 256], "method": "bicubic"},
        {"use": "center-crop", "size": [224, 224]},
        {
            "use": "normalize",
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
        },
    )


def test_channels_may_be_reversed_there_and_back():
    bgr = ("DecodeImage", {"color_space": "BGR"})
    swap = ("ConvertRGB", {})
    assert from_onnxruntime_extensions(processor(bgr, swap, FIRST, ("Rescale", {}))) == (
        {"use": "scale"},
    )
    reversed_ = ({"use": "color", "to": "bgr"},)
    assert from_onnxruntime_extensions(processor(bgr, FIRST)) == reversed_
    assert from_onnxruntime_extensions(processor(DECODE, swap, FIRST)) == reversed_


def test_channels_stay_last_where_nobody_moves_them():
    assert from_onnxruntime_extensions(processor(DECODE)) == ({"use": "layout", "to": "nhwc"},)


def test_another_factor_is_in_the_unit_of_levels(run):
    steps = (
        ("Rescale", {"rescale_factor": 1 / 127.5}),
        ("Normalize", {"mean": [1.0] * 3, "std": [2.0] * 3}),
    )
    (table,) = from_onnxruntime_extensions(processor(DECODE, *steps, FIRST))
    levels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    want = ((levels / 127.5 - 1) / 2).transpose(2, 0, 1)
    np.testing.assert_allclose(run((table,), levels), want, atol=1e-6)


HAND = "take it out, and put stages that do the same into the recipe by hand"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            ("Phi3ImageTransform", {}),
            (
                "type: must be a step that prepares every picture alike and is known, got "
                f"'Phi3ImageTransform'; {HAND}"
            ),
        ),
        (
            ("Resize", {}),
            (
                "keep_aspect_ratio: must be 0: releases differ in whether they keep the aspect "
                "ratio at 1, got None; set it to 0 if yours does not, else make the resize mode "
                "'short' by hand"
            ),
        ),
        (
            ("Resize", {"keep_aspect_ratio": 0, "interpolation": "NEAREST"}),
            (
                "interpolation: must be bilinear or bicubic (2 or 3 as Pillow counts), got "
                "'NEAREST'; no other way to resize means the same in every engine; fine-tune with "
                "one of these"
            ),
        ),
        (
            ("Resize", {"keep_aspect_ratio": 0, "smart_resize": 1}),
            (
                "smart_resize: must be a key whose meaning is known, got 'smart_resize'; delete it "
                "if it does not change pixels, else write these stages by hand"
            ),
        ),
        (("CenterCrop", {"height": 0}), "height: must be at least 1 pixel, got 0"),
        (("DecodeImage", {"color_space": "YUV"}), "color_space: must be 'RGB' or 'BGR', got 'YUV'"),
        (("Rescale", {"rescale_factor": -1}), "rescale_factor: must be above 0, got -1.0"),
        (
            ("Normalize", {"mean": [0.5]}),
            "mean: must be 3 numbers, one a channel, got [0.5]",
        ),
        (("Normalize", {"std": [0, 1, 1]}), "std: must be above 0, got 0.0"),
        (
            ("Permute3D", {"dims": [1, 2, 0]}),
            "dims: must be [2, 0, 1], channels first, got [1, 2, 0]; leave it out for NHWC",
        ),
    ],
)
def test_steps_that_no_stage_does(step, message):
    where = f"processor.transforms[1].{message}"
    with pytest.raises(RecipeError, match=f"^{re.escape(where)}$"):
        from_onnxruntime_extensions(processor(DECODE, step))


def test_two_means():
    twice = processor(("Normalize", {}), ("Normalize", {}))
    message = (
        "processor.transforms[1]: must be the only Normalize, got 'Normalize'; make one of the two"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_onnxruntime_extensions(twice)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "processor: must be an object with keys, got None"),
        ({"processor": {}}, "processor.transforms: must be an array of steps, got None"),
        (
            {"processor": {"transforms": ["Resize"]}},
            "processor.transforms[0]: must be an object with keys, got 'Resize'",
        ),
        (
            {"processor": {"transforms": [{"operation": {}}]}},
            "processor.transforms[0].type: must be a string, got None",
        ),
    ],
)
def test_documents_of_another_form(config, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_onnxruntime_extensions(config)
