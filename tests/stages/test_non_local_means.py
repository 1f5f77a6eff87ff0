"""Non-local means: the formula pixel by pixel, OpenCV's levels, and never in a graph."""

from math import exp

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.non_local_means import NonLocalMeans
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

TOLERANCE = 1e-3

F = NumpyPrimitives()
SMALL = NonLocalMeans(h=20.0, template=3, search=7)


def filtered(picture, stage):
    color = "grey" if picture.shape[2] == 1 else "rgb"
    return Chain(input=ImageSpec(color=color), stages=(stage,)).apply(F, picture[None])[0]


def by_formula(picture, stage):
    """Pixel by pixel in float64, from the docstring alone."""
    reach, margin = stage.search // 2, stage.template // 2
    border = reach + margin
    wide = np.pad(
        picture.astype(np.float64), ((border, border), (border, border), (0, 0)), "reflect"
    )

    def surroundings(row, column):
        return wide[row - margin : row + margin + 1, column - margin : column + margin + 1]

    result = np.empty(picture.shape)
    for row, column in np.ndindex(picture.shape[:2]):
        here = row + border, column + border
        total, weights = np.zeros(picture.shape[2]), 0.0
        for down, right in np.ndindex(stage.search, stage.search):
            there = here[0] + down - reach, here[1] + right - reach
            d2 = ((surroundings(*here) - surroundings(*there)) ** 2).mean()
            weight = exp(-d2 / stage.h**2)
            if weight >= 0.001:
                total, weights = total + weight * wide[there], weights + weight
        result[row, column] = total / weights
    return result


@pytest.mark.parametrize(
    "stage",
    [
        SMALL,
        NonLocalMeans(h=5.0, template=5, search=5),
        NonLocalMeans(h=300.0, template=3, search=9),
    ],
    ids=str,
)
def test_the_numbers_are_those_of_the_formula(photo, noise, stage):
    for picture in (photo[120:133, 240:257], photo[120:129, 240:251, :1], noise(9, 11)):
        assert np.abs(filtered(picture, stage) - by_formula(picture, stage)).max() <= TOLERANCE


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (2, 3)])
def test_pictures_may_be_smaller_than_what_is_searched(photo, size):
    picture = photo[200 : 200 + size[0], 300 : 300 + size[1]]
    assert np.abs(filtered(picture, SMALL) - by_formula(picture, SMALL)).max() <= TOLERANCE


def noisy(photo, sigma):
    shaken = photo + np.random.default_rng(11).normal(0, sigma, photo.shape)
    return np.clip(np.rint(shaken), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [0, 8, 60])
@pytest.mark.parametrize(("h", "template", "search"), [(10, 7, 21), (30, 5, 11), (3, 3, 9)])
def test_rounded_they_are_nearly_those_of_opencv(photo, sigma, h, template, search):
    picture = noisy(photo[110:175, 230:309], sigma)
    result = filtered(picture, NonLocalMeans(h=h, template=template, search=search))
    expected = cv2.fastNlMeansDenoising(picture, None, h, template, search)
    difference = np.abs(np.floor(result + 0.5) - expected)
    assert difference.max() <= 1
    assert difference.mean() <= 0.03


@pytest.mark.parametrize(("h", "levels"), [(10, 0), (40, 2), (100, 1)])
def test_of_mere_noise_all_weights_may_be_near_the_least(noise, h, levels):
    """Which OpenCV's fixed point puts on the other side of it: at 40, in the mean by a fifth."""
    picture = noise(61, 97)
    result = filtered(picture, NonLocalMeans(h=h))
    difference = np.abs(np.floor(result + 0.5) - cv2.fastNlMeansDenoising(picture, None, h))
    assert difference.max() <= levels
    assert difference.mean() <= 0.2


def test_a_picture_of_several_strips_has_no_seams(photo):
    """The host works on a few rows at a time."""
    picture = photo[:301, :403]
    assert picture.size > 2**18
    stage = NonLocalMeans(h=10.0, template=3, search=5)
    expected = cv2.fastNlMeansDenoising(picture, None, 10, 3, 5)
    assert np.abs(np.floor(filtered(picture, stage) + 0.5) - expected).max() <= 1


def test_noise_goes_and_a_texture_stays():
    rows, columns = np.indices((48, 48))
    clean = np.where((rows // 4 + columns // 4) % 2, 160.0, 90.0)[..., None]
    picture = noisy(clean, 12)
    result = filtered(picture, NonLocalMeans(h=14.0))
    noise = np.abs(picture - clean).mean()
    assert np.abs(result - clean).mean() < 0.6 * noise
    # A blur takes away more than it brings.
    for sigma in (0.4, 0.6, 1.0, 2.0):
        assert np.abs(filtered(picture, Gaussian(sigma=sigma)) - clean).mean() > 0.85 * noise


def test_a_picture_of_the_only_pixel_of_its_kind_keeps_it():
    picture = np.full((15, 15, 1), 20, np.uint8)
    picture[7, 7] = 250
    assert filtered(picture, SMALL)[7, 7, 0] == 250


def test_torch_agrees(photo):
    """Which trains on what the host will see."""
    check_stage(SMALL, ImageSpec(height=9, width=11))


CHAIN = Chain(
    input=ImageSpec(height=40, width=50),
    stages=(Resize(size=(24, 20)), SMALL, Color(to="bgr"), Scale()),
)


def test_a_graph_is_refused_with_the_reason_and_what_to_do():
    with pytest.raises(RecipeError, match="graph") as caught:
        CHAIN.cut("graph")
    assert str(caught.value) == (
        "preprocess[1]: non-local-means must run on the host, got placement 'graph'; "
        "it compares every pixel with hundreds of others, which would be thousands of operations; "
        "use placement = 'split' or 'host'"
    )


@pytest.mark.parametrize("placement", ["split", "host"])
def test_what_the_refusal_recommends_works(engine, photo, placement):
    assert placement in CHAIN.placements("auto")
    host, graph = CHAIN.cut(placement)
    assert SMALL in host.stages
    assert SMALL not in graph.stages
    picture = photo[110:150, 230:280]
    whole = CHAIN.apply(F, picture[None])
    # The host hands over whole levels.
    assert np.abs(engine(graph, host.prepare(picture)[0]) - whole).max() <= 0.501 / 255


def message_of(*stages):
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=ImageSpec(), stages=(*stages, SMALL))
    return str(caught.value)


def test_what_its_levels_have_no_meaning_for_is_refused():
    assert message_of(Scale()) == (
        "preprocess[1]: non-local-means needs values in 0..255, got '0..1'; "
        "put this stage before normalize and scale"
    )
    assert message_of(Color(to="hsv")) == (
        "preprocess[1]: non-local-means needs rgb or bgr or grey or ycrcb or lab pictures, "
        "got 'hsv'; put color with to = 'rgb' before this stage"
    )


WRONG = {
    "nothing alike": ({"h": 0}, "h: must be at least 0.1 and at most 1000.0, got 0"),
    "even surroundings": (
        {"template": 4},
        "template: must be odd, to have a pixel in the middle, got 4",
    ),
    "even search": ({"search": 20}, "search: must be odd, to have a pixel in the middle, got 20"),
    "no surroundings": ({"template": 1}, "template: must be at least 3 and at most 35, got 1"),
    "wide search": ({"search": 37}, "search: must be at least 3 and at most 35, got 37"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused(name):
    options, message = WRONG[name]
    table = {"use": "non-local-means", "h": 10, **options}
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == f"preprocess[0].{message}"
