"""NV12 and I420 become what OpenCV makes of them, and nothing else takes them."""

import cv2
import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec

LAYOUTS = ("nv12", "i420")
TO_RGB = {"nv12": cv2.COLOR_YUV2RGB_NV12, "i420": cv2.COLOR_YUV2RGB_I420}
SIZES = [(2, 2), (6, 4), (10, 14), (62, 94)]


def planes(height, width, seed=5):
    """Any bytes at all, `(H · 3 / 2, W, 1)`; those that no camera gives, too."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height * 3 // 2, width, 1), dtype=np.uint8)


def chain_of(color, *stages, size=None, yuv_range="limited"):
    height, width = size or (None, None)
    image = ImageSpec(height=height, width=width, color=color, yuv_range=yuv_range)
    return Chain(input=image, stages=stages)


def split(picture, color):
    """Y, U and V as `(H, W)` and `(H / 2, W / 2)`, float64, one pixel at a time."""
    rows, width, _ = picture.shape
    height = rows * 2 // 3
    flat = picture[height:].reshape(-1).astype(np.float64)
    half = (height // 2, width // 2)
    if color == "nv12":
        u, v = flat[0::2].reshape(half), flat[1::2].reshape(half)
    else:
        u, v = flat[: flat.size // 2].reshape(half), flat[flat.size // 2 :].reshape(half)
    return picture[:height, :, 0].astype(np.float64), u, v


def bt601(picture, color, yuv_range):
    """ITU-R BT.601-7, clause 2.5, and JFIF for the full range."""
    y, u, v = split(picture, color)
    u, v = (np.kron(plane, np.ones((2, 2))) - 128 for plane in (u, v))
    if yuv_range == "limited":
        y = np.maximum(y - 16, 0) * 255 / 219
        u, v = u * 255 / 224, v * 255 / 224
    red, blue = y + 1.402 * v, y + 1.772 * u
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.stack((red, green, blue), axis=-1), 0, 255)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("color", LAYOUTS)
def test_rgb_of_planes_is_that_of_opencv_within_a_level(color, size):
    picture = planes(*size)
    result = chain_of(color, Color(to="rgb")).prepare(picture)[0].astype(int)
    assert np.abs(result - cv2.cvtColor(picture, TO_RGB[color])).max() <= 1


@pytest.mark.parametrize("yuv_range", ["limited", "full"])
@pytest.mark.parametrize("color", LAYOUTS)
def test_engines_follow_bt601(engine, color, yuv_range):
    picture = planes(10, 14)
    chain = chain_of(color, Color(to="rgb"), size=(10, 14), yuv_range=yuv_range)
    expected = bt601(picture, color, yuv_range)
    assert np.abs(engine(chain, picture)[0] - expected).max() <= 1e-3


@pytest.mark.parametrize("color", LAYOUTS)
def test_litert_follows_bt601(litert, color):
    picture = planes(6, 4)
    chain = chain_of(color, Color(to="bgr"), size=(6, 4))
    expected = bt601(picture, color, "limited")[..., ::-1]
    assert np.abs(litert(chain, picture)[0] - expected).max() <= 1e-3


def test_a_full_range_is_not_the_limited_one():
    picture = planes(10, 14)
    limited, full = (
        chain_of("nv12", Color(to="rgb"), yuv_range=yuv_range).prepare(picture).astype(int)
        for yuv_range in ("limited", "full")
    )
    assert np.abs(limited - full).mean() > 5


def test_grey_is_brightness_with_black_at_16_and_white_at_235(engine):
    picture = planes(6, 4)
    picture[:6, :, 0] = np.arange(24).reshape(6, 4) * 11
    result = engine(chain_of("nv12", Color(to="grey"), size=(6, 4)), picture)[0]
    y = picture[:6].astype(np.int64)
    # floor((y - 16) · 255 / 219 + 1/2) in whole numbers
    expected = np.clip(((y - 16) * 510 + 219) // 438, 0, 255)
    assert np.array_equal(result, expected)
    assert result.min() == 0
    assert result.max() == 255


def test_every_level_of_brightness_becomes_the_same_grey_in_all_engines(engine):
    picture = np.full((24, 16, 1), 128, np.uint8)
    picture[:16, :, 0] = np.arange(256).reshape(16, 16)
    result = engine(chain_of("i420", Color(to="grey"), size=(16, 16)), picture)[0, ..., 0]
    expected = [min(max(((y - 16) * 510 + 219) // 438, 0), 255) for y in range(256)]
    assert result.reshape(-1).tolist() == expected


def test_grey_of_the_full_range_is_the_first_plane():
    picture = planes(6, 4)
    chain = chain_of("i420", Color(to="grey"), yuv_range="full")
    assert np.array_equal(chain.prepare(picture)[0], picture[:6])


def test_spaces_of_planes_go_by_rgb():
    picture = planes(6, 4)
    rgb = chain_of("nv12", Color(to="rgb")).apply(NumpyPrimitives(), picture[None])
    hsv = chain_of("nv12", Color(to="hsv")).apply(NumpyPrimitives(), picture[None])
    direct = chain_of("nv12", Color(to="rgb"), Color(to="hsv"))
    assert np.array_equal(hsv, direct.apply(NumpyPrimitives(), picture[None]))
    assert rgb.max(axis=-1) == pytest.approx(hsv[..., 2])


def test_a_batch_of_planes_is_converted_one_by_one():
    both = np.stack((planes(6, 4, seed=1), planes(6, 4, seed=2)))
    F = NumpyPrimitives()
    chain = chain_of("i420", Color(to="rgb"))
    alone = [chain.apply(F, both[index : index + 1]) for index in range(2)]
    assert np.array_equal(chain.apply(F, both), np.concatenate(alone))


def test_a_chain_on_planes_is_nearly_that_on_rgb(photo):
    rest = (Resize(size=(64, 64)), Normalize(mean=(0.5,) * 3, std=(0.25,) * 3))
    rgb = photo[:426]
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)[..., None]
    F = NumpyPrimitives()
    of_rgb = Chain(input=ImageSpec(), stages=rest).apply(F, rgb[None])
    of_planes = chain_of("i420", Color(to="rgb"), *rest).apply(F, i420[None])
    # In levels: what colour at half the size loses in a sharp picture.
    assert np.abs(of_rgb - of_planes).mean() * 255 * 0.25 <= 1.5


@pytest.mark.parametrize("placement", ["graph", "host"])
def test_a_cut_hands_over_planes_or_pixels(placement):
    chain = chain_of("nv12", Color(to="rgb"), Resize(size=(8, 8)), DType(), Layout(), size=(20, 30))
    host, graph = chain.cut(placement)
    picture = planes(20, 30)
    prepared = host.prepare(picture)
    assert prepared.shape == graph.input.shape()
    assert prepared.shape == {"graph": (1, 30, 30, 1), "host": (1, 8, 8, 3)}[placement]
    F = NumpyPrimitives()
    whole, cut = chain.apply(F, picture[None]), graph.apply(F, prepared)
    # The host rounds to whole levels.
    assert np.abs(whole - cut).max() <= 0.5


@pytest.mark.parametrize(
    "stage",
    [
        Resize(size=(8, 8)),
        CenterCrop(size=(2, 2)),
        Scale(),
        Normalize(mean=(0.5,), std=(0.5,)),
        DType(),
        Layout(),
    ],
    ids=lambda stage: stage.name,
)
def test_no_other_stage_takes_planes(stage):
    with pytest.raises(RecipeError, match="planes") as caught:
        chain_of("nv12", stage)
    assert str(caught.value) == (
        f"preprocess[0]: {stage.name} needs pixels, got planes, 'nv12'; "
        "put color with to = 'rgb' before all other stages"
    )


@pytest.mark.parametrize("size", [(5, 4), (4, 5)])
def test_an_odd_size_is_refused(size):
    with pytest.raises(RecipeError, match="even") as caught:
        chain_of("i420", Color(to="rgb"), size=size)
    assert str(caught.value) == (
        f"preprocess[0]: color needs i420 pictures of even height and width, got {list(size)!r}"
    )


@pytest.mark.parametrize("shape", [(4, 4, 1), (6, 3, 1)])
def test_planes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ShapeError, match="3 rows") as caught:
        Color(to="rgb").apply(
            NumpyPrimitives(), np.zeros((1, *shape), np.uint8), ImageSpec(color="nv12")
        )
    assert str(caught.value) == (
        "picture: must have 3 rows for every 2 of pixels, and an even width, "
        f"got {shape[:2]!r} (rows, width)"
    )


def test_an_array_of_the_height_in_pixels_is_refused():
    with pytest.raises(ShapeError, match="shape") as caught:
        chain_of("nv12", Color(to="rgb"), size=(4, 4)).prepare(np.zeros((4, 4, 1), np.uint8))
    assert str(caught.value) == (
        "picture: must have shape (6, 4, 1), nv12 with even height and width, got (4, 4, 1)"
    )
