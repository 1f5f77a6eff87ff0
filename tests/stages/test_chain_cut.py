"""Where a chain is cut, and that a cut changes next to nothing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.linear import Linear
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

SHORT = Resize(size=40, mode="short")
CROP = CenterCrop(size=(32, 32))
BGR = Color(to="bgr")
NORMALIZE = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
FIXED = ImageSpec(height=61, width=97)


def test_a_fixed_camera_has_three_different_cuts():
    chain = Chain(input=FIXED, stages=(SHORT, CROP, BGR, NORMALIZE, Layout()))
    assert chain.placements("auto") == ("graph", "split", "host")
    stages = {name: len(chain.cut(name)[0].stages) for name in chain.placements("auto")}
    assert stages == {"graph": 0, "split": 2, "host": 3}


def test_a_free_size_is_resized_on_the_host():
    chain = Chain(input=ImageSpec(), stages=(SHORT, CROP, BGR, NORMALIZE, Layout()))
    assert chain.placements("auto") == ("split", "host")
    host, graph = chain.cut("split")
    assert host == Chain(input=ImageSpec(), stages=(SHORT, CROP))
    assert graph.stages == (BGR, NORMALIZE, Layout())


def test_cuts_that_coincide_are_listed_once():
    fixed = Chain(input=FIXED, stages=(NORMALIZE, Layout()))
    assert fixed.placements("auto") == ("graph",)
    free = Chain(input=ImageSpec(), stages=(Resize(size=(32, 32)), NORMALIZE, Layout()))
    assert free.placements("auto") == ("split",)


def test_a_graph_takes_uint8_pictures_of_one_size_whatever_the_cut():
    chain = Chain(input=FIXED, stages=(SHORT, CROP, BGR, Color(to="grey"), DType(), Layout()))
    for name, expected in {
        "graph": ImageSpec(height=61, width=97),
        "split": ImageSpec(height=32, width=32),
        "host": ImageSpec(height=32, width=32, color="grey"),
    }.items():
        host, graph = chain.cut(name)
        assert graph.input == expected
        assert graph.output == chain.output
        assert host.input == chain.input


def test_the_graph_makes_float32_where_the_host_did_so_in_the_whole_chain(engine, noise):
    whole = Chain(input=ImageSpec(), stages=(Resize(size=(9, 7)), Layout()))
    host, graph = whole.cut("host")
    assert graph.output == whole.output
    prepared = host.prepare(noise(20, 30))
    assert np.array_equal(engine(graph, prepared[0]), prepared.transpose(0, 3, 1, 2))


def test_the_host_does_nothing_where_only_the_form_of_the_numbers_changes():
    chain = Chain(input=FIXED, stages=(DType(), Layout(to="nhwc")))
    assert chain.placements("auto") == ("graph",)
    assert chain.cut("host")[0].stages == ()


def test_split_cuts_as_late_as_it_can_where_the_size_changes_too_late():
    chain = Chain(input=ImageSpec(), stages=(SHORT, CenterCrop(size=(40, 40)), NORMALIZE, CROP))
    assert len(chain.cut("split")[0].stages) == 2


@pytest.mark.parametrize("placement", ["graph", "split", "host"])
@pytest.mark.parametrize("resize", [SHORT, Resize(size=(33, 37), antialias=False)])
def test_host_and_graph_together_are_the_whole_chain(engine, noise, placement, resize):
    picture = noise(61, 97)
    stages = (resize, CROP, BGR, DType(), Layout())
    whole = Chain(input=FIXED, stages=stages)
    host, graph = whole.cut(placement)
    result = engine(graph, host.prepare(picture)[0])
    # The host rounds to uint8 once, by half a level; the engines are 0.1 apart at most.
    tolerance = 0.1 if placement == "graph" else 0.5 + 0.1
    assert np.abs(result - engine(whole, picture)).max() <= tolerance


@pytest.mark.parametrize("placement", ["split", "host"])
def test_one_engine_differs_by_the_rounding_of_the_cut_alone(engine, noise, placement):
    picture = noise(61, 97)
    whole = Chain(input=FIXED, stages=(SHORT, CROP, BGR, DType(), Layout()))
    host, graph = whole.cut(placement)
    result = engine(graph, host.prepare(picture)[0])
    assert np.abs(result - engine(whole, picture)).max() <= 0.5 + 1e-3


REFUSED = {
    "graph of a free size": (
        (Resize(size=(8, 8)), Layout()),
        "graph",
        (
            "preprocess: a graph needs pictures of one size, got a free size; "
            "set input.size, or place the resize on the host by placement = 'split'"
        ),
    ),
    "no resize at all": (
        (NORMALIZE, Layout()),
        "host",
        (
            "preprocess: must bring pictures to one size while values are in 0..255, as screens "
            "show them, got a free size; resize before normalize, scale and linear, or set "
            "input.size"
        ),
    ),
    "resize too late": (
        (NORMALIZE, Resize(size=(8, 8)), Layout()),
        "split",
        (
            "preprocess: must bring pictures to one size while values are in 0..255, as screens "
            "show them, got a free size; resize before normalize, scale and linear, or set "
            "input.size"
        ),
    ),
    "resize in linear light": (
        (Linear(), Resize(size=(8, 8)), Layout()),
        "host",
        (
            "preprocess: must bring pictures to one size while values are in 0..255, as screens "
            "show them, got a free size; resize before normalize, scale and linear, or set "
            "input.size"
        ),
    ),
    "misspelt": (
        (Resize(size=(8, 8)), Layout()),
        "grpah",
        "placement: must be one of 'graph', 'host', 'split', got 'grpah'",
    ),
    "auto": (
        (Resize(size=(8, 8)), Layout()),
        "auto",
        (
            "placement: 'auto' chooses among cuts and is none itself, got 'auto'; "
            "cut at 'graph', 'host' or 'split'"
        ),
    ),
}


@pytest.mark.parametrize("reason", list(REFUSED))
def test_a_cut_that_cannot_be_is_refused_with_a_remedy(reason):
    stages, placement, message = REFUSED[reason]
    with pytest.raises(RecipeError, match="got") as caught:
        Chain(input=ImageSpec(), stages=stages).cut(placement)
    assert str(caught.value) == message


def test_placements_refuses_what_cut_would_refuse():
    chain = Chain(input=ImageSpec(), stages=(NORMALIZE, Layout()))
    for placement in ("graph", "auto"):
        with pytest.raises(RecipeError, match="free size"):
            chain.placements(placement)


@dataclass(frozen=True, kw_only=True)
class Slow(Stage):
    """What no graph can hold."""

    name: ClassVar[str] = "slow"
    host_only: ClassVar[str] = "it looks at every pixel 441 times"

    def output(self, image: ImageSpec) -> ImageSpec:
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        return F.cast(x, "float32")


def test_what_no_graph_can_hold_is_before_every_cut():
    chain = Chain(input=FIXED, stages=(CROP, Slow(), BGR, NORMALIZE, Layout()))
    assert chain.placements("auto") == ("split", "host")
    assert chain.cut("split")[0].stages == (CROP, Slow())
    assert chain.cut("host")[0].stages == (CROP, Slow(), BGR)


def test_what_no_graph_can_hold_is_refused_in_one_with_the_reason():
    # Of any size: to set one would not help.
    chain = Chain(input=ImageSpec(), stages=(CROP, Slow(), NORMALIZE))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        chain.cut("graph")
    assert str(caught.value) == (
        "preprocess[1]: slow must run on the host, got placement 'graph'; "
        "it looks at every pixel 441 times; use placement = 'split' or 'host'"
    )


def test_what_no_graph_can_hold_needs_levels_after_it():
    chain = Chain(input=FIXED, stages=(NORMALIZE, Slow()))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        chain.cut("split")
    assert str(caught.value) == (
        "preprocess[1]: slow runs on the host, which hands pictures of one size, in 0..255 as "
        "screens show them, to the graph, got none after it; put it before normalize, scale, "
        "linear and tile, and resize to one size"
    )
