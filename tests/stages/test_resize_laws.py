"""What holds for every resize, whatever the sizes, the contents and the memory layout."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resample import bands
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

lengths = st.one_of(st.sampled_from([1, 2, 3, 7, 8, 9, 16, 64, 65]), st.integers(1, 150))
sizes = st.tuples(lengths, lengths)
contents = st.sampled_from(["noise", "checkerboard", "gradient", "impulse"])
memory = st.sampled_from(["C", "Fortran", "flipped", "every-second", "window", "read-only"])
# `family` and the like are constants of a test, not state that one example leaves to the next.
law = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def draw_picture(size, content, channels=3):
    height, width = size
    rows, columns = np.indices(size)
    values = {
        "noise": np.random.default_rng(height * 1000 + width).integers(0, 256, size),
        "checkerboard": (rows + columns) % 2 * 255,
        "gradient": (rows * 255 // max(height - 1, 1) + columns) % 256,
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
@given(size_in=sizes, size_out=sizes, content=contents, layout=memory, channels=st.integers(1, 4))
def test_numpy_resizes_as_the_formula(
    options, slow_resize, size_in, size_out, content, layout, channels
):
    picture = laid_out(draw_picture(size_in, content, channels), layout)
    before = picture.copy()
    result = resized(picture, size_out, options)
    assert np.abs(result - slow_resize(picture, *size_out)).max() <= 0.001
    assert np.array_equal(picture, before)


@law
@given(size_in=sizes, size_out=sizes, level=st.integers(0, 255))
def test_a_constant_picture_stays_constant(options, size_in, size_out, level):
    result = resized(np.full((*size_in, 3), level, np.uint8), size_out, options)
    assert np.abs(result - level).max() <= 0.001


@law
@given(size_in=sizes, size_out=sizes, content=contents)
def test_no_value_leaves_the_range_of_the_picture(options, size_in, size_out, content):
    picture = draw_picture(size_in, content)
    result = resized(picture, size_out, options)
    assert result.min() >= picture.min() - 0.001
    assert result.max() <= picture.max() + 0.001


@law
@given(size=sizes, content=contents)
def test_the_same_size_gives_the_same_picture(options, size, content):
    picture = draw_picture(size, content)
    assert np.array_equal(resized(picture, size, options), picture)


@law
@given(size_in=sizes, size_out=sizes, content=contents)
def test_a_mirrored_picture_gives_the_mirrored_result(options, size_in, size_out, content):
    picture = draw_picture(size_in, content)
    mirrored = resized(picture[::-1, ::-1], size_out, options)[::-1, ::-1]
    assert np.abs(mirrored - resized(picture, size_out, options)).max() <= 0.001


def test_pictures_of_a_batch_do_not_mix(options, noise):
    batch = np.stack([noise(37, 53) for _ in range(3)])
    chain = Chain(input=ImageSpec(), stages=(Resize(size=(17, 61), **options),))
    together = chain.apply(NumpyPrimitives(), batch)
    alone = [resized(picture, (17, 61), options) for picture in batch]
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.parametrize("kernel", ["bilinear", "area"])
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
