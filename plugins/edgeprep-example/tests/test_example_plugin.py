import numpy as np
import pytest

from edgeprep import testing
from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec
from edgeprep_example import Invert


def test_the_plugin_can_be_installed():
    testing.check_plugin("edgeprep_example")


def test_the_stage_is_the_same_everywhere():
    testing.check_stage(Invert())


def test_its_entry_point_makes_it_known_to_recipes():
    chain = Chain.build(
        [{"use": "invert"}],
        input=ImageSpec(height=2, width=2),
        registry=Registry(allow=["edgeprep-example"]),
    )
    assert chain.stages[0] == Invert()


def test_dark_becomes_light_and_light_dark():
    picture = np.array([[[0, 1, 2], [253, 254, 255]]], np.uint8)
    chain = Chain(input=ImageSpec(height=1, width=2), stages=(Invert(),))
    assert chain.prepare(picture).tolist() == [[[[255, 254, 253], [2, 1, 0]]]]


@pytest.mark.parametrize("values", ["0..1", "normalized"])
def test_pictures_that_are_no_longer_pixels_are_refused(values):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Invert().output(ImageSpec(range=values, dtype="float32"))
    assert str(caught.value) == (
        f"needs values in 0..255, got '{values}'; put this stage before normalize and scale"
    )
