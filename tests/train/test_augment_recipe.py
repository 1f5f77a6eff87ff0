"""`[[augment]]`: what a recipe may say of pictures that vary, and what it may not."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest

import edgeprep
from edgeprep.errors import RecipeError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import FileStage
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep.train import build_augment

REGISTRY = Registry(installed=False)
FLIP = {"use": "random-flip"}
RESIZE = {"use": "resize", "size": [16, 16]}
CROP = {"use": "center-crop", "size": [16, 16]}
NORMALIZE = {"use": "normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def built(*tables, preprocess=(RESIZE,), image=None, registry=REGISTRY):
    chain = Chain.build(preprocess, input=image or ImageSpec(), registry=registry)
    return build_augment(tables, chain=chain, registry=registry)


def fault(*tables, **options):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        built(*tables, **options)
    return str(caught.value)


def test_tables_become_stages_in_order():
    shorter = {"use": "resize@1", "size": 40, "mode": "short"}
    crop = {"use": "random-crop", "size": [32, 30], "padding": 4}
    assert built(shorter, FLIP | {"vertical": 0.5}, crop) == (
        Resize(size=40, mode="short"),
        RandomFlip(vertical=0.5),
        RandomCrop(size=(32, 30), padding=4),
    )
    assert built() == ()


def test_pictures_keep_the_color_of_the_input():
    color = {"use": "color", "to": "rgb"}
    assert built(FLIP, preprocess=(color, RESIZE), image=ImageSpec(color="bgr")) == (RandomFlip(),)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "augment[1].use: must be the name of a stage, got None"),
        ({"use": 3}, "augment[1].use: must be the name of a stage, got 3"),
        (
            {"use": "random-flop"},
            "augment[1].use: unknown stage 'random-flop'; did you mean 'random-flip'?",
        ),
        (
            {"use": "random-flip@2"},
            (
                "augment[1].use: unknown stage 'random-flip@2'; "
                "upgrade edgeprep, whose newest is 'random-flip@1'"
            ),
        ),
        (
            {"use": "random-crop", "size": [8]},
            "augment[1].size: must have 2 items, got [8]",
        ),
        (
            {"use": "random-flip", "horisontal": 1},
            "augment[1].horisontal: unknown key; did you mean 'horizontal'?",
        ),
        (
            {"use": "color", "to": "bgr"},
            (
                "augment[1]: color must leave pictures of color 'rgb', as they arrive, got 'bgr'; "
                "put it under [[preprocess]]"
            ),
        ),
        (
            NORMALIZE,
            (
                "augment[1]: normalize must leave pictures of range '0..255', as they arrive, "
                "got 'normalized'; put it under [[preprocess]]"
            ),
        ),
        (
            {"use": "linear"},
            (
                "augment[1]: linear must leave pictures of light 'display', as they arrive, "
                "got 'linear'; put it under [[preprocess]]"
            ),
        ),
        (
            {"use": "layout"},
            (
                "augment[1]: layout must leave pictures of layout 'nhwc', as they arrive, "
                "got 'nchw'; put it under [[preprocess]]"
            ),
        ),
        (
            {"use": "frames", "every": 2},
            (
                "augment[1]: frames must not be among stages for training, whose pictures come "
                "in any order, got one that remembers earlier pictures"
            ),
        ),
    ],
)
def test_a_fault_is_told_with_its_path(table, message):
    assert fault(FLIP, table) == message


def test_a_picture_stays_one_picture():
    assert fault(RESIZE, {"use": "tile", "size": [8, 8]}) == (
        "augment[1]: tile must leave pictures of batch 1, as they arrive, got 4; "
        "put it under [[preprocess]]"
    )


def test_pictures_have_to_fit_what_comes_after():
    assert fault({"use": "random-crop", "size": [15, 20]}, preprocess=(CROP,)) == (
        "augment: leaves pictures of [15, 20] pixels; preprocess[0]: center-crop needs pictures "
        "of at least [16, 16] pixels, got [15, 20]; resize first"
    )


def test_what_the_network_gets_is_the_same():
    camera = ImageSpec(height=32, width=48)
    assert fault({"use": "random-crop", "size": [24, 24]}, preprocess=(), image=camera) == (
        "augment: must leave pictures that preprocess brings to [32, 48] pixels, as others, "
        "got [24, 24]; resize under [[preprocess]]"
    )
    assert built({"use": "random-crop", "size": [24, 24]}, image=camera)


def test_what_the_camera_gives_has_to_fit():
    camera = ImageSpec(height=32, width=48)
    assert fault({"use": "random-turn"}, image=camera) == (
        "augment[0]: random-turn needs square pictures, got [32, 48]; "
        "crop or resize to a square first, or set clockwise = [180]"
    )


def test_a_stage_with_a_file_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Filed(FileStage):
        name: ClassVar[str] = "filed"
        file: ClassVar[str] = "path"
        path: str

        @property
        def content(self):
            return b""

        def opened(self, content, registry):
            return self

        def output(self, image):
            return image

        def apply(self, F, x, image):
            return x

    registry = Registry(installed=False)
    plugin = SimpleNamespace(edgeprep_stages=hookimpl(lambda: [Filed]))
    registry.register("filed", plugin)
    assert fault({"use": "filed", "path": "x"}, registry=registry) == (
        "augment[0].use: must be a stage that needs no file, got 'filed'; "
        "put it under [[preprocess]] of a recipe"
    )


RECIPE = """
name = "small"

[model]
factory = "model:build"

[task]
use = "classify"

{tables}

[data]
calibration = {{ use = "random", samples = 2 }}

[[target]]
format    = "onnx"
precision = ["fp32"]
"""


@pytest.fixture
def recipe(tmp_path):
    def load(*tables):
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(tables="\n".join(tables)), encoding="utf-8")
        return load_recipe(path)

    return load


TOML_RESIZE = '[[preprocess]]\nuse = "resize"\nsize = [16, 16]'


def test_a_recipe_holds_its_tables(recipe):
    loaded = recipe(TOML_RESIZE, '[[augment]]\nuse = "random-flip"\nvertical = 0.5')
    assert loaded.augment == ({"use": "random-flip", "vertical": 0.5},)
    assert built(*loaded.augment) == (RandomFlip(vertical=0.5),)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("vertical = 0.5", "augment[0].use: required key is missing"),
        ("use = 5", "augment[0].use: must be a string, got 5"),
    ],
)
def test_a_table_without_a_name_is_refused_when_it_is_read(recipe, table, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        recipe(f"[[augment]]\n{table}")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            (TOML_RESIZE, '[[preprocess]]\nuse = "random-flip"'),
            (
                "preprocess[1].use: must be a stage that every picture goes through alike, got "
                "'random-flip', which varies pictures for training and is never exported; "
                "put it under [[augment]]"
            ),
        ),
        (
            (TOML_RESIZE, '[[augment]]\nuse = "cutout"\nsize = 2'),
            "augment[0].size: must be above 0 and at most 1, got 2",
        ),
    ],
)
def test_a_conversion_refuses_it_before_any_work(recipe, tmp_path, tables, message):
    # There is no model.py that could be run.
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        edgeprep.convert(recipe(*tables), tmp_path / "small.edgeprep")
    assert str(caught.value) == message
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
