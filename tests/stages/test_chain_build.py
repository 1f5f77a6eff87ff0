"""What a recipe may say, and what it is told when it may not."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest

from edgeprep.errors import RecipeError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Stage
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

RESIZE = {"use": "resize", "size": [64, 48]}
NORMALIZE = {"use": "normalize", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def build(*tables, where="preprocess", **image):
    registry = Registry(installed=False)
    return Chain.build(tables, input=ImageSpec(**image), registry=registry, where=where)


def test_a_chain_knows_the_picture_between_its_stages():
    chain = build(RESIZE, {"use": "color", "to": "bgr"}, NORMALIZE)
    assert [(image.height, image.color, image.range) for image in chain.images] == [
        (None, "rgb", "0..255"),
        (64, "rgb", "0..255"),
        (64, "bgr", "0..255"),
        (64, "bgr", "normalized"),
        (64, "bgr", "normalized"),
    ]
    assert chain.output == ImageSpec(
        height=64, width=48, color="bgr", range="normalized", layout="nchw", dtype="float32"
    )


def test_float32_and_channels_first_are_added_where_the_recipe_is_silent():
    assert build().stages == (DType(to="float32"), Layout(to="nchw"))
    assert build(RESIZE).stages == (Resize(size=(64, 48)), Layout(to="nchw"))


def test_channels_stay_last_where_the_recipe_says_so():
    chain = build(RESIZE, {"use": "layout", "to": "nhwc"})
    assert chain.stages[1:] == (Layout(to="nhwc"),)
    assert chain.output.shape() == (1, 64, 48, 3)


def test_the_tables_of_a_chain_are_json_and_build_it_again():
    chain = build(
        {"use": "resize", "size": 80, "mode": "short", "antialias": False},
        {"use": "center-crop", "size": [64, 64]},
        {"use": "pad", "size": [70, 70], "value": 3},
        {"use": "pad", "top": 1},
        {"use": "color", "to": "grey"},
        {"use": "scale"},
        {"use": "normalize", "mean": [0.5], "std": [0.25]},
    )
    tables = json.loads(json.dumps(chain.to_tables()))
    assert tables[0] == {
        "use": "resize@1",
        "size": 80,
        "method": "bilinear",
        "antialias": False,
        "like": None,
        "mode": "short",
        "fill": 114,
    }
    assert build(*tables) == chain


def test_chains_are_values():
    assert build(RESIZE) == build(RESIZE)
    assert hash(build(RESIZE)) == hash(build(RESIZE))
    assert build(RESIZE) != build(RESIZE, height=9, width=9)


def test_pictures_may_be_resized_and_cropped_after_scale():
    chain = build({"use": "scale"}, RESIZE, {"use": "center-crop", "size": [8, 8]})
    assert chain.output.range == "0..1"


MISTAKES = {
    "unknown stage": (
        [{"use": "resise", "size": [4, 4]}],
        "preprocess[0].use: unknown stage 'resise'; did you mean 'resize'?",
    ),
    "no stage": (
        [{"size": [4, 4]}],
        "preprocess[0].use: must be the name of a stage, got None",
    ),
    "unknown key": (
        [RESIZE | {"sise": 3}],
        "preprocess[0].sise: unknown key; did you mean 'size'?",
    ),
    "nearest": (
        [RESIZE | {"method": "nearest"}],
        (
            "preprocess[0].method: must be 'bilinear', 'area' or 'bicubic', got 'nearest'; "
            "nearest is not portable, libraries pick different pixels"
        ),
    ),
    "bicubic of OpenCV": (
        [RESIZE | {"method": "bicubic", "like": "opencv"}],
        (
            "preprocess[0].method: must be one of opencv's for like 'opencv', got 'bicubic'; "
            "OpenCV's has another coefficient and no antialiasing"
        ),
    ),
    "area of Pillow": (
        [RESIZE | {"method": "area", "like": "pillow"}],
        (
            "preprocess[0].method: must be one of pillow's for like 'pillow', got 'area'; "
            "Pillow's BOX takes whole pixels only"
        ),
    ),
    "bicubic after scale": (
        [{"use": "scale"}, RESIZE | {"method": "bicubic"}],
        (
            "preprocess[1]: resize needs values in 0..255, got '0..1'; "
            "put this stage before normalize and scale"
        ),
    ),
    "a preset that is contradicted": (
        [RESIZE | {"like": "opencv", "antialias": True}],
        "preprocess[0].antialias: must be false for like 'opencv', got True; leave it out",
    ),
    "a library that is not known": (
        [RESIZE | {"like": "opencv2"}],
        (
            "preprocess[0].like: must be one of 'opencv', 'pillow', 'torchvision', "
            "got 'opencv2'; did you mean 'opencv'?"
        ),
    ),
    "a letterbox that is contradicted": (
        [{"use": "letterbox", "size": [64, 48], "like": "torchvision", "antialias": False}],
        "preprocess[0].antialias: must be true for like 'torchvision', got False; leave it out",
    ),
    "a turn that is no quarter": (
        [{"use": "rotate", "clockwise": 45}],
        "preprocess[0].clockwise: must be one of 90, 180, 270, got 45",
    ),
    "another method": (
        [RESIZE | {"method": "lanczos"}],
        (
            "preprocess[0].method: must be 'bilinear', 'area' or 'bicubic', got 'lanczos'; "
            "these mean the same in every engine"
        ),
    ),
    "area without antialias": (
        [RESIZE | {"method": "area", "antialias": False}],
        "preprocess[0].antialias: must be true for method 'area', got False; leave it out",
    ),
    "one length to stretch to": (
        [RESIZE | {"size": 64}],
        "preprocess[0].size: must be [height, width] for mode 'stretch', got 64",
    ),
    "two lengths for the shorter side": (
        [RESIZE | {"mode": "short"}],
        "preprocess[0].size: must be one length for mode 'short', got [64, 48]",
    ),
    "no pixels": (
        [RESIZE | {"size": [64, 0]}],
        "preprocess[0].size[1]: must be at least 1 and at most 16384, got 0",
    ),
    "a negative shorter side": (
        [{"use": "resize", "size": -1, "mode": "short"}],
        "preprocess[0].size: must be at least 1 and at most 16384, got -1",
    ),
    "a side too long": (
        [RESIZE | {"size": [100_000_000, 48]}],
        "preprocess[0].size[0]: must be at least 1 and at most 16384, got 100000000",
    ),
    "a shorter side too long": (
        [{"use": "resize", "size": 16385, "mode": "short"}],
        "preprocess[0].size: must be at least 1 and at most 16384, got 16385",
    ),
    "too many pixels": (
        [RESIZE | {"size": [16384, 4097]}],
        "preprocess[0].size: must have at most 67108864 pixels, got [16384, 4097]",
    ),
    "too many pixels in a letterbox": (
        [RESIZE | {"size": [8193, 8192], "mode": "letterbox"}],
        "preprocess[0].size: must have at most 67108864 pixels, got [8193, 8192]",
    ),
    "a crop too long": (
        [{"use": "center-crop", "size": [8, 16385]}],
        "preprocess[0].size[1]: must be at least 1 and at most 16384, got 16385",
    ),
    "a crop of too many pixels": (
        [{"use": "center-crop", "size": [16384, 16384]}],
        "preprocess[0].size: must have at most 67108864 pixels, got [16384, 16384]",
    ),
    "a border too wide": (
        [{"use": "pad", "left": 16385}],
        "preprocess[0].left: must be at least 0 and at most 16384, got 16385",
    ),
    "padded to a side too long": (
        [{"use": "pad", "size": [16385, 8]}],
        "preprocess[0].size[0]: must be at least 1 and at most 16384, got 16385",
    ),
    "padded to too many pixels": (
        [{"use": "pad", "size": [16384, 16384]}],
        "preprocess[0].size: must have at most 67108864 pixels, got [16384, 16384]",
    ),
    "borders that add up to too many pixels": (
        [RESIZE, {"use": "pad", "top": 16384, "left": 4097}],
        "preprocess[1]: pad must make at most 67108864 pixels, got [16448, 4145]",
    ),
    "a longer side that makes too many pixels": (
        [
            {"use": "resize", "size": [1, 10_000]},
            {"use": "resize", "size": 256, "mode": "short"},
        ],
        "preprocess[1]: resize must make at most 67108864 pixels, got [256, 2560000]",
    ),
    "letterbox after normalize": (
        [NORMALIZE, RESIZE | {"mode": "letterbox"}],
        (
            "preprocess[1]: resize needs values in 0..255, got 'normalized'; "
            "put this stage before normalize and scale"
        ),
    ),
    "normalize twice": (
        [RESIZE, NORMALIZE, NORMALIZE],
        (
            "preprocess[2]: normalize needs values in 0..255 or 0..1, got 'normalized'; "
            "normalize only once"
        ),
    ),
    "scale twice": (
        [{"use": "scale"}, {"use": "scale"}],
        (
            "preprocess[1]: scale needs values in 0..255, got '0..1'; "
            "put this stage before normalize and scale"
        ),
    ),
    "colour after normalize": (
        [NORMALIZE, {"use": "color", "to": "bgr"}],
        (
            "preprocess[1]: color needs values in 0..255 or 0..1 or -1..1, got 'normalized'; "
            "put this stage before normalize and scale"
        ),
    ),
    "the colour that is there": (
        [{"use": "color", "to": "rgb"}],
        (
            "preprocess[0]: color needs pictures that are not rgb already, got 'rgb'; "
            "leave this stage out"
        ),
    ),
    "pad after normalize": (
        [NORMALIZE, {"use": "pad", "top": 1}],
        (
            "preprocess[1]: pad needs values in 0..255, got 'normalized'; "
            "put this stage before normalize and scale"
        ),
    ),
    "pad nothing": (
        [{"use": "pad"}],
        "preprocess[0]: needs either size or some of top, bottom, left and right, got neither",
    ),
    "pad both ways": (
        [{"use": "pad", "top": 1, "size": [9, 9]}],
        "preprocess[0]: needs either size or some of top, bottom, left and right, got both",
    ),
    "statistics of another number of channels": (
        [{"use": "color", "to": "grey"}, NORMALIZE],
        (
            "preprocess[1]: normalize needs one number a channel as mean, 1 for grey pictures, "
            "got [0.5, 0.5, 0.5]"
        ),
    ),
    "no deviation": (
        [NORMALIZE | {"std": [1, 0, 1]}],
        "preprocess[0].std[1]: must be above 0, got 0",
    ),
    "stages after layout": (
        [{"use": "layout"}, RESIZE],
        "preprocess[1]: resize needs layout 'nhwc', got 'nchw'; put layout last",
    ),
    "layout twice": (
        [{"use": "layout"}, {"use": "layout", "to": "nhwc"}],
        "preprocess[1]: layout needs layout 'nhwc', got 'nchw'; put layout last",
    ),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_named_with_its_path(mistake):
    tables, message = MISTAKES[mistake]
    with pytest.raises(RecipeError, match="preprocess") as caught:
        build(*tables)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 1e-320), (0.5, 1e-39), (-1e39, 1.0), (-1e300, 1e-9)]
)
def test_statistics_must_have_quotients_that_float32_holds(mean, std):
    table = {"use": "normalize", "mean": [mean] * 3, "std": [std] * 3}
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == (
        "preprocess[0]: normalize needs a mean and std whose quotients float32 holds, "
        f"got {[mean] * 3!r} and {[std] * 3!r}"
    )


def test_statistics_must_be_finite():
    with pytest.raises(RecipeError, match="finite") as caught:
        build(NORMALIZE | {"mean": [0.5, float("inf"), 0.5]})
    assert str(caught.value).startswith("preprocess[0]")


def test_a_fault_names_the_place_that_the_caller_says():
    with pytest.raises(RecipeError, match="chain") as caught:
        build(NORMALIZE, NORMALIZE, where="chain")
    assert str(caught.value).startswith("chain[1]: normalize needs")


def test_a_chain_made_in_code_is_checked_as_well():
    with pytest.raises(RecipeError, match="scale needs") as caught:
        Chain(
            input=ImageSpec(),
            stages=(Normalize(mean=(0.0,) * 3, std=(1.0,) * 3), Scale(), Color(to="bgr")),
        )
    assert str(caught.value).startswith("preprocess[1]: scale needs")


@dataclass(frozen=True, kw_only=True)
class Shaken(Stage):
    """What is for training."""

    name: ClassVar[str] = "shaken"
    training_only: ClassVar[bool] = True

    def output(self, image):
        return image

    def apply(self, F, x, image):
        return x


def test_what_varies_pictures_for_training_is_never_exported():
    def shaken():
        return [Shaken]

    registry = Registry(installed=False)
    registry.register("shaky", SimpleNamespace(edgeprep_stages=hookimpl(shaken)))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Chain.build([RESIZE, {"use": "shaken"}], input=ImageSpec(), registry=registry)
    assert str(caught.value) == (
        "preprocess[1].use: must be a stage that every picture goes through alike, got 'shaken', "
        "which varies pictures for training and is never exported; put it under [[augment]]"
    )
