"""Sobel, Scharr and the Laplacian: OpenCV's to the last level, in every engine."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.laplacian import Laplacian
from edgeprep.stages.layout import Layout
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scharr import Scharr
from edgeprep.stages.sobel import Sobel
from edgeprep.tensors import ImageSpec

STAGES = [
    Sobel(),
    Sobel(result="dx"),
    Sobel(result="dy"),
    Scharr(),
    Scharr(result="dx"),
    Scharr(result="dy"),
    Laplacian(),
    Laplacian(result="signed"),
]

lengths = st.integers(1, 300)
law = settings(deadline=None, derandomize=True, max_examples=10)


@pytest.fixture(params=STAGES, ids=lambda stage: f"{stage.name} {stage.result}")
def stage(request):
    return request.param


def chain_of(picture, *stages, color="rgb"):
    height, width, _ = picture.shape
    return Chain(input=ImageSpec(height=height, width=width, color=color), stages=stages)


def edges(picture, stage, color="rgb"):
    return chain_of(picture, stage, color=color).apply(NumpyPrimitives(), picture[None])[0]


def opencv(picture, stage):
    """What OpenCV finds in its own grey of an RGB picture, `(H, W, 1)`, float64."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if isinstance(stage, Laplacian):
        found = cv2.Laplacian(grey, cv2.CV_64F, ksize=1)
        found = found + 128 if stage.result == "signed" else np.abs(found)
    else:
        find = cv2.Sobel if isinstance(stage, Sobel) else cv2.Scharr
        across, down = find(grey, cv2.CV_64F, 1, 0), find(grey, cv2.CV_64F, 0, 1)
        found = {
            "dx": across + 128,
            "dy": down + 128,
            "magnitude": np.rint(np.hypot(across, down)),
        }[stage.result]
    return np.clip(found, 0, 255)[..., None]


def test_colours_and_grey_have_the_edges_that_opencv_finds(subject, stage):
    expected = opencv(subject, stage)
    assert np.array_equal(edges(subject, stage), expected)
    assert np.array_equal(edges(subject[..., ::-1], stage, "bgr"), expected)
    grey = cv2.cvtColor(subject, cv2.COLOR_RGB2GRAY)[..., None]
    assert np.array_equal(edges(grey, stage, "grey"), expected)


@pytest.mark.parametrize("each", STAGES, ids=lambda each: f"{each.name} {each.result}")
@law
@given(size=st.tuples(lengths, lengths))
def test_any_size_has_the_edges_that_opencv_finds(each, size):
    noise = np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert np.array_equal(edges(noise, each), opencv(noise, each))


def test_every_engine_finds_the_same(engine, small_subject, stage):
    result = engine(chain_of(small_subject, stage), small_subject)[0]
    assert np.array_equal(result, opencv(small_subject, stage))


def test_values_that_are_not_whole_are_rounded_first_halves_up(engine, noise, stage):
    grey = noise(26, 34)[..., :1]
    # The mean of four pixels: quarters and halves, exact in every engine.
    halved = Resize(size=(13, 17), method="area")
    means = grey.reshape(13, 2, 17, 2, 1).mean(axis=(1, 3))
    rounded = np.floor(means + 0.5).astype(np.uint8).repeat(3, axis=-1)
    result = engine(chain_of(grey, halved, stage, color="grey"), grey)[0]
    assert np.array_equal(result, opencv(rounded, stage))


def test_litert_finds_the_same(litert, noise):
    # One chain, as a conversion takes seconds: the edges of edges of edges.
    picture, stages = noise(13, 17), (Sobel(), Scharr(result="dx"), Laplacian(result="signed"))
    expected = picture
    for stage in stages:
        expected = opencv(expected, stage).astype(np.uint8).repeat(3, axis=-1)
    result = litert(chain_of(picture, *stages), picture)[0]
    assert np.array_equal(result, expected[..., :1])


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Sobel(), [0, 40, 40, 0]),
        (Sobel(result="dx"), [128, 168, 168, 128]),
        (Sobel(result="dy"), [128, 128, 128, 128]),
        (Scharr(), [0, 160, 160, 0]),
        (Scharr(result="dx"), [128, 255, 255, 128]),
        (Laplacian(), [0, 10, 10, 0]),
        (Laplacian(result="signed"), [128, 138, 118, 128]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_step_to_the_right(stage, expected):
    picture = np.array([[[100], [100], [110], [110]]] * 3, np.uint8)
    assert edges(picture, stage, "grey")[1].reshape(-1).tolist() == expected


def test_edges_are_a_grey_picture(photo, stage):
    chain = chain_of(photo, stage, DType(to="uint8"))
    assert chain.output == ImageSpec(height=427, width=640, color="grey")
    assert chain.prepare(photo).shape == (1, 427, 640, 1)


@pytest.mark.parametrize(
    ("stage", "named", "message"),
    [
        (Sobel, "abs", "must be one of 'dx', 'dy', 'magnitude', got 'abs'"),
        (
            Scharr,
            "magnitud",
            "must be one of 'dx', 'dy', 'magnitude', got 'magnitud'; did you mean 'magnitude'?",
        ),
        (Laplacian, "dx", "must be one of 'absolute', 'signed', got 'dx'"),
    ],
    ids=["sobel", "scharr", "laplacian"],
)
def test_other_results_are_refused(stage, named, message):
    with pytest.raises(RecipeError, match="edges") as caught:
        build(stage, {"result": named}, "edges")
    assert str(caught.value) == f"edges.result: {message}"


def test_pictures_without_levels_are_refused(stage):
    with pytest.raises(RecipeError, match="preprocess") as of_lab:
        Chain(input=ImageSpec(), stages=(Color(to="lab"), stage))
    assert str(of_lab.value) == (
        f"preprocess[1]: {stage.name} needs rgb or bgr or grey pictures, got 'lab'; "
        "put color with to = 'rgb' before this stage"
    )
    with pytest.raises(RecipeError, match="preprocess") as of_layout:
        Chain(input=ImageSpec(), stages=(Layout(to="nchw"), stage))
    assert str(of_layout.value) == (
        f"preprocess[1]: {stage.name} needs layout 'nhwc', got 'nchw'; put layout last"
    )
