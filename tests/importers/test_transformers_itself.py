"""The image processors of transformers compute what their own files, imported, compute here.

Their Pillow processors run without torchvision. Pillow rounds to whole levels, between its two
passes as well.
"""

import json
import logging
import warnings

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import RecipeError
from edgeprep.importers import from_json
from edgeprep.importers.processors import PROCESSORS

BILINEAR, BICUBIC = 2, 3
SQUARE = {"size": {"height": 320, "width": 448}}
# What these classes do by default, no stage can: a limit of the longer side, a border of black.
OPTIONS = {
    "ConditionalDetr": SQUARE,
    "ConvNext": {"size": {"shortest_edge": 224}},
    "DeformableDetr": SQUARE,
    "Detr": SQUARE,
    "MobileViT": {"size": {"shortest_edge": 288}},
    "Yolos": SQUARE,
}
# One length is their shorter side, and the longer one is limited.
LIMITED = ("ConditionalDetr", "DeformableDetr", "Detr", "RTDetr", "Yolos")
# This one needs torchvision, as it resizes floats.
NAMES = sorted(PROCESSORS.keys() - {"DINOv3ViT"})


@pytest.fixture(scope="module")
def transformers():
    with warnings.catch_warnings():
        # torch, about itself, by way of torchao, which transformers looks for.
        warnings.simplefilter("ignore")
        import transformers

        # What is looked up is imported then.
        for name in NAMES:
            getattr(transformers, f"{name}ImageProcessorPil")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return transformers


@pytest.fixture
def both(transformers, run, picture):
    """A class with these options: by how many levels its result and ours differ, everywhere."""

    def compare(name, **options):
        processor = getattr(transformers, f"{name}ImageProcessorPil")(**options)
        theirs = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
        config = json.loads(processor.to_json_string())
        kind, tables = from_json(config)
        assert kind == "transformers"
        ours = run(tables, picture)
        assert ours.shape == theirs.shape
        std = np.array(config["image_std"] if config.get("do_normalize") else (1.0, 1.0, 1.0))
        if config.get("include_top"):
            std = std * config["image_std"]
        return abs(ours - theirs) * std.reshape(3, 1, 1) * 255

    return compare


@pytest.mark.parametrize("picture", ["odd", "noise"], indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_bilinear_differs_by_a_level_at_most(name, both):
    off = both(name, resample=BILINEAR, **OPTIONS.get(name, {}))
    # Each pass rounds by half a level at most; the mean of two such is a third of a level.
    assert off.max() <= 1.001
    assert off.mean() < 1 / 3


@pytest.mark.parametrize("picture", ["photo"], indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_bicubic_differs_only_where_pillow_clips_between_its_passes(name, both):
    off = both(name, resample=BICUBIC, **OPTIONS.get(name, {}))
    # In uint8, what the first pass overshoots is cut off: by up to 10 levels, at few pixels.
    assert np.median(off) < 0.3
    assert off.mean() < 1 / 3


@pytest.mark.parametrize("picture", ["odd"], indirect=True)
@pytest.mark.parametrize("said", [{}, {"default_to_square": True}, {"default_to_square": False}])
@pytest.mark.parametrize("name", NAMES)
def test_one_length_is_a_square_or_the_shorter_side_as_in_transformers(
    name, said, transformers, run, picture
):
    config = {"size": 96, "resample": BILINEAR, "do_center_crop": False, **said}
    try:
        processor = getattr(transformers, f"{name}ImageProcessorPil")(**config)
        theirs = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
    except (ValueError, AttributeError):  # it needs the other kind, and may fail to say so
        theirs = None
    kind = {"image_processor_type": f"{name}ImageProcessorFast"}
    try:
        tables = from_json(kind | config)[1]
    except RecipeError:
        assert theirs is None or name in LIMITED
    else:
        ours = run(tables, picture)
        assert ours.shape == theirs.shape


@pytest.mark.parametrize("picture", ["odd"], indirect=True)
@pytest.mark.parametrize("edge", [224, 384, 400])
def test_convnext_crops_below_384_and_warps_above(edge, both):
    assert both("ConvNext", resample=BILINEAR, size={"shortest_edge": edge}).max() <= 1.001


@pytest.mark.parametrize("name", NAMES)
def test_what_a_file_leaves_out_is_what_the_class_takes(name, transformers):
    options = OPTIONS.get(name, {})
    processor = getattr(transformers, f"{name}ImageProcessorPil")(**options)
    full = json.loads(processor.to_json_string())
    # Old files say less: all but the class may be absent.
    assert from_json({"image_processor_type": full["image_processor_type"], **options}) == (
        from_json(full)
    )
