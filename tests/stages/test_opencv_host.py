"""OpenCV on the host does what numpy does, within its rounding, and only what it does quicker."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.opencv import OpenCVPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.stream import Stream
from edgeprep.tensors import ImageSpec

NUMPY, OPENCV = NumpyPrimitives(), OpenCVPrimitives()
STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

# What PREPROCESSING allows OpenCV's uint8 INTER_LINEAR, which has 11 bits of fraction.
TOLERANCE = 0.85

SIZES = [
    pytest.param((427, 640), (224, 224), id="427x640-224x224"),
    pytest.param((97, 61), (32, 29), id="97x61-32x29"),
    pytest.param((64, 64), (32, 32), id="by-two"),
    pytest.param((17, 19), (37, 53), id="upscale"),
    pytest.param((50, 30), (1, 1), id="to-one-pixel"),
    pytest.param((1, 1), (9, 7), id="from-one-pixel"),
    pytest.param((1, 300), (1, 7), id="a-line"),
]


def chain_of(*stages, **image):
    return Chain(input=ImageSpec(**image), stages=stages)


@pytest.mark.parametrize(("size_in", "size_out"), SIZES)
def test_a_plain_resize_is_within_the_rounding_of_opencv(noise, size_in, size_out):
    picture = noise(*size_in)
    chain = chain_of(Resize(size=size_out, antialias=False))
    exact = chain.apply(NUMPY, picture[None])
    assert np.abs(chain.prepare(picture, OPENCV) - exact).max() <= TOLERANCE


def test_opencv_is_what_resizes(photo):
    """The tolerance above is kept by numpy, too: this is what tells them apart."""
    chain = chain_of(Resize(size=(224, 224), antialias=False))
    differing = chain.prepare(photo, OPENCV) != chain.prepare(photo)
    assert 0.01 < differing.mean() < 0.2


@pytest.mark.parametrize("color", ["grey", "bgra"])
def test_pictures_of_one_and_four_channels_are_resized(noise, color):
    picture = np.concatenate([noise(61, 97), noise(61, 97)[..., :1]], 2)
    picture = picture[..., :1] if color == "grey" else picture
    chain = chain_of(Resize(size=(20, 31), antialias=False), color=color)
    exact = chain.apply(NUMPY, picture[None])
    assert np.abs(chain.prepare(picture, OPENCV) - exact).max() <= TOLERANCE


@pytest.mark.parametrize(
    "view",
    [
        lambda picture: picture[::-1],
        lambda picture: picture[:, ::-1],
        lambda picture: picture[..., ::-1],
        lambda picture: picture[::2, 1::3],
        lambda picture: np.asfortranarray(picture),
        lambda picture: np.broadcast_to(picture[:1], picture.shape),
    ],
    ids=["upside-down", "mirrored", "swapped", "every-other", "fortran", "broadcast"],
)
def test_views_are_taken_as_they_are(noise, view):
    picture = view(noise(61, 97))
    picture.flags.writeable = False
    chain = chain_of(Resize(size=(20, 31), antialias=False))
    same = chain.prepare(np.ascontiguousarray(picture), OPENCV)
    assert np.array_equal(chain.prepare(picture, OPENCV), same)


@pytest.mark.parametrize(
    "options", [{}, {"method": "area"}, {"method": "bicubic"}], ids=["antialiased", "area", "cubic"]
)
def test_every_other_resize_is_left_to_numpy(photo, options):
    chain = chain_of(Resize(size=(224, 224), **options))
    assert np.array_equal(chain.prepare(photo, OPENCV), chain.prepare(photo))


def test_stages_behind_the_resize_are_told_of_uint8(noise):
    picture = noise(97, 61)
    resize = Resize(size=(50, 41), antialias=False, mode="letterbox")
    chain = chain_of(Color(to="bgr"), resize, Color(to="grey"))
    resized = chain_of(resize, color="bgr").prepare(picture[..., ::-1], OPENCV)
    expected = chain_of(Color(to="grey"), color="bgr").prepare(resized[0])
    assert np.array_equal(chain.prepare(picture, OPENCV), expected)


@dataclass(frozen=True, kw_only=True)
class Halved(Stage):
    """A plugin's stage that resizes by itself, and counts on float32."""

    name: ClassVar[str] = "halved"

    def output(self, image):
        return image.replace(height=8, width=8, dtype="float32")

    def apply(self, F, x, image):
        return F.multiply(F.resize_linear(x, 8, 8), 0.5)


def test_a_stage_that_resizes_by_itself_has_the_float32_that_it_counts_on(noise):
    chain = chain_of(Halved())
    picture = noise(17, 19)
    assert np.array_equal(chain.prepare(picture, OPENCV), chain.prepare(picture))


@dataclass(frozen=True, kw_only=True)
class Shrunk(Stage):
    """A plugin's stage that leaves its resize to whichever library the host has."""

    name: ClassVar[str] = "shrunk"

    @property
    def host_primitives(self):
        return ("resize_linear",)

    def output(self, image):
        return image.replace(height=224, width=224, dtype="float32")

    def apply(self, F, x, image):
        return F.resize_linear(x, 224, 224)


@pytest.mark.parametrize(
    "stage",
    [
        Shrunk(),
        Letterbox(size=(224, 224), like="opencv"),
        Resize(size=(224, 224), mode="letterbox", antialias=False),
    ],
    ids=["a-plugin's", "letterbox", "resize"],
)
def test_a_stage_that_allows_it_is_resized_by_opencv(photo, stage):
    chain = chain_of(stage)
    prepared = chain.prepare(photo, OPENCV)
    assert 0.01 < (prepared != chain.prepare(photo)).mean() < 0.2
    assert np.abs(prepared - chain.apply(NUMPY, photo[None])).max() <= TOLERANCE


def test_a_stream_resizes_with_opencv_too(photo):
    chain = chain_of(Resize(size=(224, 224), antialias=False))
    assert np.array_equal(Stream(chain, OPENCV).prepare(photo), chain.prepare(photo, OPENCV))


@pytest.mark.parametrize("swap_first", [True, False])
def test_a_whole_chain_on_the_host_is_the_same_within_the_rounding(photo, swap_first):
    resize, swap = Resize(size=(224, 224), antialias=False), Color(to="rgb")
    stages = (swap, resize) if swap_first else (resize, swap)
    chain = chain_of(*stages, Normalize(**STATISTICS), DType(), Layout(to="nchw"), color="bgr")
    exact, x = chain.apply(NUMPY, photo[None]), photo[None]
    for stage, image in chain.steps:
        x = OPENCV.run(stage, x, image)
    assert x.flags.c_contiguous
    assert x.dtype == np.float32
    levels = np.abs(x - exact) * 255 * np.array(STATISTICS["std"]).reshape(3, 1, 1)
    assert levels.max() <= TOLERANCE
