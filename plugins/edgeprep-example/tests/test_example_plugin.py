"""The plugin and its stage: held to the conformance kit, to hand values, and run from a recipe."""

import numpy as np
import pytest

import edgeprep_example
from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_plugin, check_stage
from edgeprep_example import Invert

PICTURE = ImageSpec(height=1, width=2, color="grey")


def test_the_plugin_conforms() -> None:
    check_plugin(edgeprep_example)


def test_the_stage_conforms() -> None:
    check_stage(Invert())


@pytest.fixture
def registry() -> Registry:
    """What a device with this plugin has, found by its entry point."""
    return Registry(allow=["example"])


def test_a_recipe_that_inverts_gives_255_minus_the_value(registry: Registry) -> None:
    chain = Chain.build([{"use": "invert"}], input=PICTURE, registry=registry)
    host, graph = chain.cut("host")
    assert host.stages == (Invert(),)
    picture = np.array([[[0], [200]]], np.uint8)
    assert host.prepare(picture).tolist() == [[[[255], [55]]]]
    assert [stage.name for stage in graph.stages] == ["dtype", "layout"]


def test_a_bundle_names_the_stage_with_its_version(registry: Registry) -> None:
    chain = Chain.build([{"use": "invert"}], input=PICTURE, registry=registry)
    tables = chain.to_tables()
    assert tables[0] == {"use": "invert@1"}
    assert Chain.build(tables, input=PICTURE, registry=registry) == chain


@pytest.mark.parametrize("color", ["rgba", "nv12", "hsv", "lab"])
def test_inverting_what_is_no_brightness_is_an_error(registry: Registry, color: str) -> None:
    arriving = ImageSpec(height=2, width=2, color="rgb" if color in ("hsv", "lab") else color)
    before = [{"use": "color", "to": color}] if arriving.color == "rgb" else []
    with pytest.raises(RecipeError, match=rf"\[{len(before)}\]: invert needs .*, got .*'{color}'"):
        Chain.build([*before, {"use": "invert"}], input=arriving, registry=registry)


def test_inverting_numbers_that_are_no_levels_is_an_error(registry: Registry) -> None:
    with pytest.raises(RecipeError, match=r"^preprocess\[1\]: invert needs values") as caught:
        Chain.build([{"use": "scale"}, {"use": "invert"}], input=PICTURE, registry=registry)
    assert str(caught.value) == (
        "preprocess[1]: invert needs values in 0..255, got '0..1'; "
        "put this stage before normalize and scale"
    )
