"""What holds for every resize, whatever the sizes, the contents and the memory layout."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.formulas.resample import bands
from edgeprep.stages.layout import Layout
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

# So many pixels that an example takes milliseconds: 4096 by 32, or 362 squared.
AREA = 2**17
# Of float32 sums; five times better than what graphs are held to.
TOLERANCE = 0.002

log_lengths = st.integers(0, 12 * 8).map(lambda eighths: round(2 ** (eighths / 8)))  # 1 to 4096
lengths_in = st.one_of(st.sampled_from([1, 2, 3]), log_lengths, st.integers(1, 150))


@st.composite
def axes(draw):
    """Lengths before and after: any, and those at which faults hide or show."""
    before = draw(lengths_in)
    after = draw(
        st.one_of(
            st.sampled_from([1, 2, 3]),
            st.integers(1, 640),
            st.sampled_from([before - 1, before, before + 1, before // 2, before * 2]),
            # Odd, and by no whole factor.
            st.floats(0.1, 3.0).map(lambda factor: round(before * factor) | 1),
        )
    )
    return before, min(max(after, 1), 640)


@st.composite
def resizes(draw):
    """`(height, width)` before and after, each of at most `AREA` pixels."""
    (height, new_height), (width, new_width) = draw(axes()), draw(axes())
    return (
        (height, min(width, max(AREA // height, 1))),
        (new_height, min(new_width, max(AREA // new_height, 1))),
    )


sizes = resizes().map(lambda pair: pair[0])
channels = st.sampled_from([1, 3, 4])
contents = st.sampled_from(["noise", "checkerboard", "gradient", "constant", "impulse", "photo"])
memory = st.sampled_from(["C", "Fortran", "flipped", "every-second", "window", "read-only"])
# `family` and the like are constants of a test, not state that one example leaves to the next.
law = settings(
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def draw_picture(size, content, channels=3):
    height, width = size
    rows, columns = np.indices(size)
    if content == "photo":
        photo = load_sample_image("flower.jpg")
        picture = photo[rows % photo.shape[0], columns % photo.shape[1]]
        return np.concatenate([picture, picture[..., ::-1]], axis=-1)[..., :channels]
    values = {
        "noise": np.random.default_rng(height * 1000 + width).integers(0, 256, size),
        "checkerboard": (rows + columns) % 2 * 255,
        "gradient": (rows * 255 // max(height - 1, 1) + columns) % 256,
        "constant": rows * 0 + height % 256,
        "impulse": (rows == height // 2) * (columns == width // 2) * 255,
    }[content].astype(np.uint8)
    return np.stack([values, 255 - values, values // 2, values][:channels], axis=-1)


def laid_out(picture, layout):
    if layout == "Fortran":
        return np.asfortranarray(picture)
    if layout == "flipped":
        return np.ascontiguousarray(picture[::-1, :, ::-1])[::-1, :, ::-1]
    if layout == "every-second":
        return picture.repeat(2, 0).repeat(2, 1)[::2, ::2]
    if layout == "window":
        return np.pad(picture, ((1, 2), (3, 1), (0, 0)))[1:-2, 3:-1]
    picture = picture.copy()
    picture.flags.writeable = layout != "read-only"
    return picture


def resized(picture, size, options):
    chain = Chain(input=ImageSpec(), stages=(Resize(size=size, **options),))
    return chain.apply(NumpyPrimitives(), picture[None])[0]


@law
@given(size=resizes(), content=contents, layout=memory, channels=channels)
def test_numpy_resizes_as_the_formula(options, slow_resize, size, content, layout, channels):
    size_in, size_out = size
    picture = laid_out(draw_picture(size_in, content, channels), layout)
    before = picture.copy()
    result = resized(picture, size_out, options)
    assert np.abs(result - slow_resize(picture, *size_out)).max() <= TOLERANCE
    assert np.array_equal(picture, before)


@law
@given(size=resizes(), level=st.integers(0, 255))
def test_a_constant_picture_stays_constant(options, size, level):
    size_in, size_out = size
    result = resized(np.full((*size_in, 3), level, np.uint8), size_out, options)
    # Where all pixels count, float32 sums of as many as 4096 products on both axes: as near as the
    # specification asks of these two; 0.0020 was seen.
    averages = options.get("antialias") or options.get("method") == "area"
    assert np.abs(result - level).max() <= (0.01 if averages else 0.001)


@law
@given(size=resizes(), content=contents)
def test_no_value_leaves_the_range_of_the_picture(family, options, size, content):
    picture = draw_picture(size[0], content)
    result = resized(picture, size[1], options)
    # A cubic overshoots, and is cut off where no pixel can be.
    low, high = (0, 255) if family == "bicubic" else (picture.min(), picture.max())
    assert result.min() >= low - 0.001
    assert result.max() <= high + 0.001


@law
@given(size=sizes, content=contents, channels=channels)
def test_the_same_size_gives_the_same_picture(options, size, content, channels):
    picture = draw_picture(size, content, channels)
    assert np.array_equal(resized(picture, size, options), picture)


@law
@given(size=resizes(), content=contents)
def test_a_mirrored_picture_gives_the_mirrored_result(options, size, content):
    picture = draw_picture(size[0], content)
    mirrored = resized(picture[::-1, ::-1], size[1], options)[::-1, ::-1]
    assert np.abs(mirrored - resized(picture, size[1], options)).max() <= TOLERANCE


@law
@given(size=resizes(), content=contents)
def test_a_turned_picture_gives_the_turned_result(options, size, content):
    picture = draw_picture(size[0], content)
    turned = resized(picture.transpose(1, 0, 2), size[1][::-1], options).transpose(1, 0, 2)
    assert np.abs(turned - resized(picture, size[1], options)).max() <= TOLERANCE


@law
@given(size=resizes(), content=contents)
def test_each_channel_goes_its_own_way(options, size, content):
    picture = draw_picture(size[0], content)
    swapped = resized(picture[..., ::-1], size[1], options)[..., ::-1]
    result = resized(picture, size[1], options)
    assert np.abs(swapped - result).max() <= TOLERANCE
    alone = resized(picture[..., 1:2], size[1], options)
    assert np.abs(alone - result[..., 1:2]).max() <= TOLERANCE


@law
@given(size=resizes(), contents=st.tuples(contents, contents))
def test_a_mixture_of_pictures_gives_the_mixture_of_results(options, size, contents):
    first, second = (draw_picture(size[0], content) for content in contents)
    # Between a third and two thirds of the range, where nothing is cut off even from a cubic.
    mixture = 85 + first * np.float32(0.25) + second * np.float32(0.0625)
    parts = (85 + each * np.float32(1 / 3) for each in (first, second))
    of_first, of_second = (resized(part, size[1], options) - 85 for part in parts)
    expected = 85 + 0.75 * of_first + 0.1875 * of_second
    # Three results with rounding of their own.
    assert np.abs(resized(mixture, size[1], options) - expected).max() <= 3 * TOLERANCE


@settings(law, max_examples=10)
@given(size=resizes())
def test_the_tables_of_a_chain_give_the_same_graph(options, size):
    (height, width), size_out = size
    image = ImageSpec(height=height, width=width)
    chain = Chain(input=image, stages=(Resize(size=size_out, **options), Layout()))
    tables = json.loads(json.dumps(chain.to_tables()))
    again = Chain.build(tables, input=image, registry=Registry(installed=False))
    assert build_onnx(again) == build_onnx(chain)


def test_pictures_of_a_batch_do_not_mix(options, noise):
    batch = np.stack([noise(37, 53) for _ in range(3)])
    chain = Chain(input=ImageSpec(), stages=(Resize(size=(17, 61), **options),))
    together = chain.apply(NumpyPrimitives(), batch)
    alone = [resized(picture, (17, 61), options) for picture in batch]
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.parametrize("kernel", ["bilinear", "area", "bicubic"])
@pytest.mark.parametrize(
    ("length_in", "length_out"), [(4096, 640), (3840, 333), (720, 224), (1, 9)]
)
def test_rows_of_a_matrix_sum_to_one(kernel, length_in, length_out):
    matrix = bands(length_in, length_out, kernel)
    sums = matrix.weights.sum(axis=2).reshape(-1)
    assert np.abs(sums[:length_out] - 1).max() <= 1e-6
    assert not sums[length_out:].any()
    assert matrix.indices.min() >= 0
    assert matrix.indices.max() < length_in


def test_colours_may_be_swapped_before_or_after(options, noise):
    """On the host a swap is a view, whose pixels numpy reads 30 times slower."""
    picture = noise(97, 61)
    resize, swap = Resize(size=(32, 29), **options), Color(to="bgr")
    before, after = (
        Chain(input=ImageSpec(), stages=stages).apply(NumpyPrimitives(), picture[None])
        for stages in ((swap, resize), (resize, swap))
    )
    assert np.array_equal(before, after)
