"""Gamma and the sRGB curve, there and back."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.gamma import Gamma
from edgeprep.stages.layout import Layout
from edgeprep.stages.linear import Linear
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.stages.srgb import Srgb
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

# Powers are not exact in any engine, but to a few units in the last place of 255.
TOLERANCE = 1e-3
ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


def chain_of(picture, *stages, color="grey"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def linear(level):
    """IEC 61966-2-1, one level of 0..255 at a time."""
    part = level / 255
    return 255 * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("exponent", [0.45, 1.0, 2.2, 10.0])
def test_gamma_is_a_power_of_the_part_of_white(engine, exponent):
    chain = chain_of(ALL_LEVELS, Gamma(exponent=exponent))
    expected = 255 * (ALL_LEVELS / 255.0) ** exponent
    result = engine(chain, ALL_LEVELS)[0]
    assert np.abs(result - expected).max() <= TOLERANCE
    assert result[0, 0, 0] == 0
    assert result[-1, -1, 0] == pytest.approx(255, abs=1e-4)


def test_linear_is_the_curve_of_srgb(engine):
    result = engine(chain_of(ALL_LEVELS, Linear()), ALL_LEVELS)[0].reshape(-1)
    expected = [linear(level) for level in range(256)]
    assert np.abs(result - expected).max() <= TOLERANCE


def test_levels_of_light_that_are_known():
    chain = chain_of(ALL_LEVELS, Linear())
    result = chain.apply(NumpyPrimitives(), ALL_LEVELS[None]).reshape(-1) / 255
    # Middle grey, half of the light, and the last level on the straight line.
    assert result[[0, 10, 119, 188, 255]] == pytest.approx(
        [0, 0.0030353, 0.184475, 0.502886, 1], abs=1e-6
    )


def test_srgb_undoes_linear(engine, noise):
    picture = noise(13, 17)
    result = engine(chain_of(picture, Linear(), Srgb(), color="rgb"), picture)[0]
    assert np.abs(result - picture).max() <= TOLERANCE


def test_half_of_the_light_is_no_half_of_the_level(engine):
    # Black and white beside each other, as one pixel: 127.5 without linear light.
    picture = np.array([[[0], [255]]], np.uint8)
    chain = chain_of(picture, Linear(), Resize(size=(1, 1), method="area"), Srgb())
    assert engine(chain, picture).item() == pytest.approx(187.516, abs=0.01)


def test_litert_agrees_on_light(litert):
    chain = chain_of(ALL_LEVELS, Gamma(exponent=0.45), Linear(), Srgb())
    expected = 255 * (ALL_LEVELS / 255.0) ** 0.45
    assert np.abs(litert(chain, ALL_LEVELS)[0] - expected).max() <= TOLERANCE


def test_no_host_hands_linear_light_to_a_graph(noise):
    picture = noise(12, 10)
    stages = (Linear(), Resize(size=(6, 5)), Srgb(), DType(), Layout())
    chain = chain_of(picture, *stages, color="rgb")
    assert chain.cut("split")[0].stages == stages[:3]
    ending = chain_of(picture, *stages[:2], DType(), Layout(), color="rgb")
    assert ending.cut("host")[0].stages == ()


@pytest.mark.parametrize(
    "stage", [Gamma(exponent=0.5), Linear(), Srgb()], ids=lambda stage: stage.name
)
def test_the_stages_of_light_keep_the_rules(stage):
    check_stage(stage)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            (Linear(), Linear()),
            (
                "preprocess[1]: linear needs pictures as screens show them, got linear light; "
                "say it once"
            ),
        ),
        (
            (Srgb(),),
            (
                "preprocess[0]: srgb needs pictures in linear light, got those that screens show; "
                "put linear before this stage"
            ),
        ),
        (
            (Color(to="hsv"), Gamma(exponent=2)),
            (
                "preprocess[1]: gamma needs rgb or bgr or grey pictures, got 'hsv'; "
                "put color with to = 'rgb' before this stage"
            ),
        ),
        (
            (Color(to="lab"), Linear()),
            (
                "preprocess[1]: linear needs rgb or bgr or grey pictures, got 'lab'; "
                "put color with to = 'rgb' before this stage"
            ),
        ),
        (
            (Scale(), Gamma(exponent=2)),
            (
                "preprocess[1]: gamma needs values in 0..255, got '0..1'; "
                "put this stage before normalize and scale"
            ),
        ),
    ],
    ids=["linear twice", "srgb alone", "gamma of hue", "linear lab", "gamma of 0..1"],
)
def test_an_order_without_meaning_is_refused(stages, message):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=stages)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("exponent", "rule"), [(0, "must be above 0"), (-1.0, "must be above 0"), (11, "at most 10")]
)
def test_an_exponent_without_meaning_is_refused(exponent, rule):
    with pytest.raises(RecipeError, match=rf"^gamma\.exponent: .*{rule}.*, got {exponent}$"):
        build(Gamma, {"exponent": exponent}, "gamma")
