"""What holds for every stage that smooths, whatever the size, the contents and the memory."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from edgeprep.stages.band_pass import BandPass
from edgeprep.stages.bilateral import Bilateral
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.low_pass import LowPass
from edgeprep.stages.mean import Mean
from edgeprep.stages.median import Median
from edgeprep.stages.non_local_means import NonLocalMeans
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

# Of float32 sums, in levels.
TOLERANCE = 0.002
# So many pixels that an example takes milliseconds, of the slowest too.
AREA = 2**12

odd = st.integers(1, 12).map(lambda half: 2 * half + 1)
sigmas = st.floats(0.1, 12.0)
levels = st.floats(0.1, 300.0)
rising = st.tuples(st.floats(0.1, 3.0), st.floats(3.5, 12.0))

STAGES = {
    "mean": st.builds(Mean, size=odd),
    "gaussian": st.builds(Gaussian, sigma=sigmas, radius=st.none() | st.integers(1, 20)),
    "low-pass": st.builds(LowPass, sigma=sigmas) | st.builds(LowPass, cutoff=st.floats(0.01, 0.5)),
    "band-pass": st.builds(BandPass, sigma=rising),
    "median": st.builds(Median, size=st.sampled_from([3, 5])),
    "bilateral": st.builds(
        Bilateral,
        sigma_color=levels,
        sigma_space=st.floats(0.1, 9.0),
        diameter=st.sampled_from([3, 5, 7, 9]),
    ),
    "non-local-means": st.builds(
        NonLocalMeans,
        h=levels,
        template=st.sampled_from([3, 5, 7]),
        search=st.sampled_from([3, 5]),
    ),
}
LINEAR = ("mean", "gaussian", "low-pass", "band-pass")
# The weights of the others are those of the whole pixel.
BY_CHANNEL = (*LINEAR, "median")

lengths = st.one_of(st.sampled_from([1, 2, 3]), st.floats(0, log(300)).map(lambda x: round(exp(x))))
sizes = st.tuples(lengths, lengths).map(
    lambda size: (size[0], min(size[1], max(AREA // size[0], 1)))
)
contents = st.sampled_from(["noise", "checkerboard", "gradient", "impulse", "photo"])
law = settings(
    deadline=None,
    derandomize=True,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

every_stage = pytest.mark.parametrize("name", STAGES)


def draw_picture(size, content):
    rows, columns = np.indices(size)
    if content == "photo":
        return load_sample_image("china.jpg")[60 + rows, 80 + columns]
    values = {
        "noise": np.random.default_rng(size).integers(0, 256, size),
        "checkerboard": (rows + columns) % 2 * 255,
        "gradient": (3 * rows + columns) % 256,
        "impulse": (rows == size[0] // 2) * (columns == size[1] // 2) * 255,
    }[content]
    return np.stack([values, 255 - values, values // 2], axis=-1).astype(np.uint8)


def filtered(stage, picture):
    color = "grey" if picture.shape[2] == 1 else "rgb"
    image = ImageSpec(color=color, dtype=picture.dtype.name)
    return stage.apply(NumpyPrimitives(), picture[None], image)[0]


@every_stage
@law
@given(data=st.data(), size=sizes, level=st.integers(0, 255))
def test_an_even_picture_stays_as_it_is(name, data, size, level):
    stage = data.draw(STAGES[name])
    expected = stage.offset if name == "band-pass" else level
    assert (
        np.abs(filtered(stage, np.full((*size, 3), level, np.uint8)) - expected).max() <= TOLERANCE
    )


@every_stage
@law
@given(data=st.data(), size=sizes, content=contents)
def test_no_value_leaves_the_range_of_the_picture(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    result = filtered(stage, picture)
    low, high = (0, 255) if name == "band-pass" else (picture.min(), picture.max())
    # Weights of float32 may sum to a bit more than 1; what is chosen or clipped may not.
    slack = 0 if name in ("median", "band-pass") else TOLERANCE
    assert low - slack <= result.min()
    assert result.max() <= high + slack


@every_stage
@law
@given(data=st.data(), size=sizes, content=contents)
def test_a_mirrored_picture_gives_the_mirrored_result(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    result = filtered(stage, picture)
    for way in (np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]):
        assert np.abs(filtered(stage, picture[way])[way] - result).max() <= TOLERANCE


@every_stage
@law
@given(data=st.data(), size=sizes, content=contents)
def test_a_turned_picture_gives_the_turned_result(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    turned = filtered(stage, picture.transpose(1, 0, 2)).transpose(1, 0, 2)
    assert np.abs(turned - filtered(stage, picture)).max() <= TOLERANCE


@every_stage
@law
@given(data=st.data(), size=sizes, content=contents)
def test_the_order_of_the_channels_does_not_matter(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    swapped = filtered(stage, picture[..., ::-1])[..., ::-1]
    assert np.abs(swapped - filtered(stage, picture)).max() <= TOLERANCE


@pytest.mark.parametrize("name", BY_CHANNEL)
@law
@given(data=st.data(), size=sizes, content=contents)
def test_each_channel_goes_its_own_way(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    alone = filtered(stage, picture[..., 1:2])
    assert np.abs(alone - filtered(stage, picture)[..., 1:2]).max() <= TOLERANCE


@pytest.mark.parametrize("name", LINEAR)
@law
@given(data=st.data(), size=sizes, contents=st.tuples(contents, contents))
def test_a_mixture_of_pictures_gives_the_mixture_of_results(name, data, size, contents):
    stage = data.draw(STAGES[name])
    first, second = (draw_picture(size, content).astype(np.float32) for content in contents)
    # Of so little contrast that a band-pass clips nothing.
    mixture = 99 + first / 16 + second / 8
    offset = 128 if name == "band-pass" else 99
    of_first, of_second, of_both = (
        filtered(stage, part) - offset for part in (99 + first / 8, 99 + second / 8, mixture)
    )
    assert np.abs(of_both - (of_first / 2 + of_second)).max() <= TOLERANCE


@every_stage
@law
@given(
    data=st.data(),
    size=sizes,
    content=contents,
    memory=st.sampled_from(
        ["Fortran", "flipped", "every second", "window", "read-only", "float32"]
    ),
)
def test_the_layout_in_memory_does_not_matter(name, data, size, content, memory):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    same = {
        "Fortran": np.asfortranarray(picture),
        "flipped": np.ascontiguousarray(picture[::-1, :, ::-1])[::-1, :, ::-1],
        "every second": picture.repeat(2, 0).repeat(2, 1)[::2, ::2],
        "window": np.pad(picture, ((1, 2), (3, 1), (0, 0)))[1:-2, 3:-1],
        "read-only": picture.copy(),
        "float32": picture.astype(np.float32),
    }[memory]
    same.flags.writeable = False
    assert np.array_equal(same, picture)
    assert np.abs(filtered(stage, same) - filtered(stage, picture)).max() <= TOLERANCE


@pytest.mark.parametrize("name", [name for name in STAGES if name not in LINEAR])
@law
@given(data=st.data(), size=sizes, content=contents)
def test_turned_into_its_negative_a_picture_gives_the_negative_result(name, data, size, content):
    stage, picture = data.draw(STAGES[name]), draw_picture(size, content)
    negative = 255 - filtered(stage, 255 - picture)
    assert np.abs(negative - filtered(stage, picture)).max() <= TOLERANCE


@every_stage
def test_strips_of_a_picture_join_without_seams(name):
    """What the host makes a few rows at a time is what it makes at once."""
    stage = {
        "mean": Mean(size=9),
        "gaussian": Gaussian(sigma=2.0),
        "low-pass": LowPass(cutoff=0.1),
        "band-pass": BandPass(sigma=(1.0, 2.0)),
        "median": Median(size=5),
        "bilateral": Bilateral(sigma_color=30.0, sigma_space=2.0),
        "non-local-means": NonLocalMeans(h=10.0, template=3, search=5),
    }[name]
    picture = load_sample_image("flower.jpg")
    assert picture.size > 3 * 2**18
    rows = slice(180, 260)
    # Far enough from the cut that the border is not seen, and few enough rows for one strip.
    part = filtered(stage, picture[150:290])[30:110]
    assert np.abs(filtered(stage, picture)[rows] - part).max() <= TOLERANCE
