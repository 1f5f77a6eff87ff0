"""Every engine meets the float64 formula, at sizes that hide nothing.

A factor of two and upscaling hide most faults of real libraries, so the sizes are odd and the
factors are not whole.
"""

import numpy as np
import pytest

from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

# Levels of 0..255. Native bilinear ops compute their coordinates in float32; the banded product
# has exact weights and float32 sums.
TOLERANCE = {"bilinear": 0.1, "antialiased": 0.01, "area": 0.01, "bicubic": 0.01}

SIZES = [
    pytest.param((37, 53), (17, 19), id="37x53-17x19"),
    pytest.param((97, 61), (32, 32), id="97x61-32x32"),
    pytest.param((17, 19), (37, 53), id="upscale"),
    pytest.param((37, 53), (17, 99), id="narrower-and-longer"),
    pytest.param((37, 53), (36, 54), id="by-one-pixel"),
    pytest.param((37, 53), (37, 20), id="one-axis-only"),
    pytest.param((50, 30), (1, 1), id="to-one-pixel"),
    pytest.param((1, 1), (9, 7), id="from-one-pixel"),
    pytest.param((1, 300), (1, 7), id="a-line"),
]


def chain_of(size_in, size_out, options):
    image = ImageSpec(height=size_in[0], width=size_in[1])
    return Chain(input=image, stages=(Resize(size=size_out, **options), DType()))


@pytest.mark.parametrize(("size_in", "size_out"), SIZES)
def test_an_engine_resizes_noise_as_the_formula(
    engine, family, options, slow_resize, noise, size_in, size_out
):
    picture = noise(*size_in)
    result = engine(chain_of(size_in, size_out, options), picture)
    assert result.dtype == np.float32
    expected = slow_resize(picture, *size_out)[None]
    assert np.abs(result - expected).max() <= TOLERANCE[family]


def test_an_engine_resizes_a_photograph_as_the_formula(engine, family, options, slow_resize, photo):
    result = engine(chain_of((427, 640), (224, 224), options), photo)
    expected = slow_resize(photo, 224, 224)[None]
    assert np.abs(result - expected).max() <= TOLERANCE[family]


def test_an_engine_letterboxes_as_the_formula(engine, family, options, slow_resize, noise):
    picture = noise(61, 97)
    chain = chain_of((61, 97), (50, 41), {**options, "mode": "letterbox"})
    # r = min(50 / 61, 41 / 97) = 0.4227; 61 r = 25.78 -> 26 rows; (50 - 26) / 2 = 12 above.
    expected = np.full((1, 50, 41, 3), 114.0)
    expected[:, 12:38] = slow_resize(picture, 26, 41)
    assert np.abs(engine(chain, picture) - expected).max() <= TOLERANCE[family]


def test_antialiasing_changes_nothing_when_growing(noise, engine):
    picture = noise(17, 19)
    with_it, without = (
        engine(chain_of((17, 19), (37, 53), {"antialias": antialias}), picture)
        for antialias in (True, False)
    )
    assert np.array_equal(with_it, without)
