"""What holds for contrast and edges, whatever the size, the contents and the memory layout."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprep.stages.canny import Canny
from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.laplacian import Laplacian
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scharr import Scharr
from edgeprep.stages.sharpen import Sharpen
from edgeprep.stages.sobel import Sobel
from edgeprep.stages.stretch import Stretch
from edgeprep.stages.unsharp import Unsharp
from edgeprep.tensors import ImageSpec

# What comes of one level all over: the same, no edge, or what one tile makes of it.
CONSTANT = {
    Equalize(): lambda level: level,
    Stretch(): lambda level: level,
    Stretch(low=10, high=60.5, per_channel=True): lambda level: level,
    Sharpen(amount=2.5): lambda level: level,
    Unsharp(sigma=2.3, threshold=3.0): lambda level: level,
    Sobel(): lambda level: 0,
    Scharr(result="dx"): lambda level: 128,
    Laplacian(): lambda level: 0,
    Laplacian(result="signed"): lambda level: 128,
    Canny(low=0, high=0): lambda level: 0,
    Clahe(clip=256.0, grid=(2, 5)): lambda level: 255,
}
STAGES = [*CONSTANT, Clahe(), Canny(steps=3)]
ROUNDED = (Equalize, Clahe, Sobel, Scharr, Laplacian, Canny)
# Not of CLAHE, which mirrors at the right and at the bottom alone, nor of Canny, which finds the
# first of two pixels that are alike. "dx" and "dy" change their signs.
ALIKE = [s for s in STAGES if not isinstance(s, Clahe | Canny | Scharr)] + [Scharr()]

lengths = st.one_of(st.sampled_from([1, 2, 3]), st.integers(1, 300))
# Up to 300 pixels each way, but so few that an example takes milliseconds.
sizes = st.tuples(lengths, lengths).map(lambda size: (size[0], min(size[1], 2**13 // size[0] + 1)))
contents = st.sampled_from(["noise", "checkerboard", "gradient", "few levels", "impulse", "photo"])
memory = st.sampled_from(["C", "Fortran", "flipped", "every-second", "window", "read-only"])
# `photo` is a constant of a test, not state that one example leaves to the next.
law = settings(
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
every_stage = pytest.mark.parametrize("stage", STAGES, ids=str)


def draw_picture(size, content, photo):
    rows, columns = np.indices(size)
    generator = np.random.default_rng(size[0] * 1000 + size[1])
    if content == "photo":
        return photo[rows + 60, columns + 90]
    levels = {
        "noise": lambda: generator.integers(0, 256, size),
        "few levels": lambda: generator.integers(100, 103, size),
        "checkerboard": lambda: (rows + columns) % 2 * 255,
        "gradient": lambda: (rows + 2 * columns) % 256,
        "impulse": lambda: (rows == size[0] // 2) * (columns == size[1] // 3) * 255,
    }[content]()
    return np.stack([levels, 255 - levels, levels // 2], axis=-1).astype(np.uint8)


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


def applied(picture, stage):
    chain = Chain(input=ImageSpec(), stages=(stage,))
    return chain.apply(NumpyPrimitives(), picture[None])[0]


@every_stage
@law
@given(size=sizes, content=contents)
def test_levels_come_out(photo, stage, size, content):
    result = applied(draw_picture(size, content, photo), stage)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255
    if isinstance(stage, ROUNDED):
        assert np.array_equal(result, np.rint(result))


@every_stage
@law
@given(size=sizes, content=contents, layout=memory)
def test_the_layout_in_memory_makes_no_difference(photo, stage, size, content, layout):
    picture = draw_picture(size, content, photo)
    arriving = laid_out(picture, layout)
    assert np.array_equal(applied(arriving, stage), applied(picture, stage))
    assert np.array_equal(arriving, picture)


@pytest.mark.parametrize("stage", CONSTANT, ids=str)
@law
@given(size=sizes, level=st.integers(0, 255))
def test_one_level_becomes_one_level(stage, size, level):
    result = applied(np.full((*size, 3), level, np.uint8), stage)
    assert np.abs(result - CONSTANT[stage](level)).max() <= 1e-3


@pytest.mark.parametrize("stage", ALIKE, ids=str)
@law
@given(size=sizes, content=contents)
def test_a_mirrored_picture_gives_the_mirrored_result(photo, stage, size, content):
    picture = draw_picture(size, content, photo)
    result = applied(picture, stage)
    assert np.abs(applied(picture[::-1, ::-1], stage)[::-1, ::-1] - result).max() <= 1e-3
    turned = applied(picture.transpose(1, 0, 2), stage).transpose(1, 0, 2)
    assert np.abs(turned - result).max() <= 1e-3


@law
@given(size=sizes, content=contents)
def test_equalizing_keeps_the_order_of_levels(photo, size, content):
    picture = draw_picture(size, content, photo)[..., :1]
    chain = Chain(input=ImageSpec(color="grey"), stages=(Equalize(),))
    result = chain.apply(NumpyPrimitives(), picture[None]).reshape(-1)
    assert (np.diff(result[picture.reshape(-1).argsort()]) >= 0).all()
    if picture.min() < picture.max():
        assert (result.min(), result.max()) == (0, 255)


@law
@given(size=sizes, content=contents, steps=st.integers(1, 40))
def test_more_steps_of_canny_only_add_edges(photo, size, content, steps):
    picture = draw_picture(size, content, photo)
    fewer, more = (applied(picture, Canny(low=20, steps=n)) for n in (steps, steps + 7))
    assert (fewer <= more).all()
