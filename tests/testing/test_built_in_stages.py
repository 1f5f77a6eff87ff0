"""The kit on the built-in stages, each in every way in which its fields make it behave."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY
from edgeprep.registry import Registry
from edgeprep.runtime.learned import LearnedStage
from edgeprep.stages.band_pass import BandPass
from edgeprep.stages.bilateral import Bilateral
from edgeprep.stages.canny import Canny
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import NUMPY
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.clip import Clip
from edgeprep.stages.color import Color
from edgeprep.stages.crop import Crop
from edgeprep.stages.dtype import DType
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.flip import Flip
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.stages.gamma import Gamma
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.laplacian import Laplacian
from edgeprep.stages.layout import Layout
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.linear import Linear
from edgeprep.stages.low_pass import LowPass
from edgeprep.stages.mean import Mean
from edgeprep.stages.median import Median
from edgeprep.stages.non_local_means import NonLocalMeans
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.pad import Pad
from edgeprep.stages.random.blur import RandomBlur
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.cutout import RandomCutout
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.noise import RandomNoise
from edgeprep.stages.random.resized_crop import RandomResizedCrop
from edgeprep.stages.random.rotate import RandomRotate
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.stages.resize import Resize
from edgeprep.stages.rotate import Rotate
from edgeprep.stages.running_background import RunningBackground
from edgeprep.stages.scale import Scale
from edgeprep.stages.scharr import Scharr
from edgeprep.stages.sharpen import Sharpen
from edgeprep.stages.sobel import Sobel
from edgeprep.stages.srgb import Srgb
from edgeprep.stages.stretch import Stretch
from edgeprep.stages.tile import Tile
from edgeprep.stages.unsharp import Unsharp
from edgeprep.stages.white_balance import WhiteBalance
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage
from edgeprep.testing.stage import TOLERANCE

BUILT_INS = [
    Resize(size=(7, 9)),
    Resize(size=(64, 48), antialias=False),
    Resize(size=(20, 30), method="area"),
    Resize(size=16, mode="short"),
    Resize(size=(20, 20), mode="letterbox", fill=3),
    Resize(size=(20, 61), method="bicubic"),
    Letterbox(size=(30, 20), like="opencv"),
    CenterCrop(size=(3, 2)),
    CenterCrop(size=(100, 101), rounding="torchvision"),
    Crop(size=(3, 2), top=2, left=1),
    Pad(top=1, left=2, value=7),
    Pad(size=(50, 60)),
    Flip(axis="horizontal"),
    Flip(axis="vertical"),
    Rotate(clockwise=90),
    Rotate(clockwise=180),
    Rotate(clockwise=270),
    Tile(size=(9, 10), overlap=(3, 4)),
    Color(to="bgr"),
    Color(to="grey"),
    Mean(size=3),
    Mean(size=7),
    Gaussian(sigma=1.5),
    Gaussian(sigma=3.0, radius=2),
    Median(size=3),
    Median(size=5),
    Bilateral(sigma_color=30.0, sigma_space=2.0),
    NonLocalMeans(h=20.0, template=3, search=5),
    LowPass(sigma=2.0),
    LowPass(cutoff=0.1),
    BandPass(sigma=(1.0, 3.0)),
    BandPass(cutoff=(0.05, 0.2), offset=100),
    Equalize(),
    Clahe(),
    Clahe(clip=4.5, grid=(3, 2)),
    Stretch(),
    Stretch(low=25, high=75, per_channel=True),
    Sharpen(amount=0.7),
    Unsharp(),
    Unsharp(sigma=2.0, amount=0.5, threshold=3.0),
    Sobel(),
    Sobel(result="dx"),
    Scharr(),
    Scharr(result="dy"),
    Laplacian(),
    Laplacian(result="signed"),
    Canny(),
    Canny(low=20, high=500, steps=3),
    Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Normalize(mean=(120.0,), std=(60.0,), unit="0..255"),
    Scale(),
    DType(to="float32"),
    Layout(to="nchw"),
    Layout(to="nhwc"),
    Clip(low=0.0, high=200.0),
    Gamma(exponent=0.45),
    Linear(),
    Srgb(),
    WhiteBalance(),
    Frames(every=2),
    FrameDifference(mode="absolute"),
    FrameDifference(mode="signed"),
    RunningBackground(give="mask"),
    RandomFlip(vertical=0.5),
    RandomCrop(size=(5, 3)),
    RandomCrop(size=(7, 9), padding=6, fill=9),
    RandomResizedCrop(size=(8, 6)),
    RandomResizedCrop(size=(8, 6), method="area"),
    RandomRotate(degrees=180, fill=114, probability=0.5),
    RandomTurn(),
    RandomColorJitter(brightness=0.5, contrast=0.5, saturation=2.0, hue=0.5),
    RandomColorJitter(contrast=2.0, probability=0.5),
    RandomNoise(sigma=30, probability=0.5),
    RandomBlur(probability=0.5),
    RandomCutout(count=3, fill=7, probability=0.5),
]

# The lightness of Lab is not the same to the last bit in every engine, and these round it: one
# pixel in thousands becomes its neighbouring level.
ROUNDING = {Equalize: 1 / 255, Clahe: 1 / 255}


@pytest.mark.parametrize("stage", BUILT_INS, ids=str)
def test_built_in_stages_conform(stage):
    check_stage(stage, tolerance=ROUNDING.get(type(stage), TOLERANCE))


def test_every_built_in_stage_is_checked():
    # The one that needs a bundle is checked where bundles are made, in tests/engines.
    checked = {LearnedStage, *map(type, BUILT_INS)}
    assert checked == {*Registry(installed=False).classes("stage")}


STILL = ImageSpec(height=96, width=96)


def in_place(stage):
    """Whether it takes such pictures, and leaves their pixels where they are."""
    if stage.training_only:
        return False
    try:
        left = stage.output(STILL)
    except RecipeError:
        return False
    return (left.size, left.layout, stage.backward(STILL)) == (STILL.size, "nhwc", (IDENTITY,))


@pytest.mark.parametrize("stage", [*filter(in_place, BUILT_INS)], ids=str)
def test_a_tile_becomes_what_it_is_in_the_picture_unless_the_stage_says_so(stage):
    picture = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8)
    # Dark below, as hardly a picture is alike everywhere.
    picture[:, 64:] //= 2
    whole = stage.apply(NUMPY, picture, STILL)
    tile = stage.apply(NUMPY, picture[:, :80, :80], STILL.replace(height=80, width=80))
    # No filter here looks farther than 16 pixels.
    same = np.array_equal(whole[:, :64, :64], tile[:, :64, :64])
    assert same != stage.looks_everywhere
