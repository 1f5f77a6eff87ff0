"""Every primitive means the same in every engine, with numbers worked out apart from edgeprep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.formulas.borders import extend
from edgeprep.stages.formulas.filters import correlate, gaussian_weights, smooth
from edgeprep.stages.formulas.histogram import accumulate
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import TorchPrimitives
from edgeprep.tensors import ImageSpec


@dataclass(frozen=True, kw_only=True)
class Formula(Stage):
    """A stage made of one function of F and x, float32 `(N, H, W, C)`."""

    name: ClassVar[str] = "formula"

    of: Callable[[Any, Any], Any]

    def output(self, image: ImageSpec) -> ImageSpec:
        return image.replace(dtype="float32", range="normalized")

    def apply(self, F, x, image):
        return self.of(F, F.cast(x, "float32"))


def chain_of(picture, of):
    height, width, channels = picture.shape
    image = ImageSpec(height=height, width=width, color="grey" if channels == 1 else "rgb")
    return Chain(input=image, stages=(Formula(of=of),))


RAMP = np.linspace(0.5, 2.0, 3, dtype=np.float32)

# What F computes, and the same in numpy's float64.
FORMULAS = {
    "subtract": (lambda F, x: F.subtract(x, 7.0), lambda x: x - 7),
    "subtract a channel each": (lambda F, x: F.subtract(x, RAMP), lambda x: x - RAMP),
    "scale_channels": (
        lambda F, x: F.scale_channels(x, RAMP, -3 * RAMP),
        lambda x: x * RAMP - 3 * RAMP,
    ),
    "divide": (lambda F, x: F.divide(x, F.add(x, 1.0)), lambda x: x / (x + 1)),
    "minimum": (lambda F, x: F.minimum(x, 99.0), lambda x: np.minimum(x, 99)),
    "maximum": (lambda F, x: F.maximum(x, 99.0), lambda x: np.maximum(x, 99)),
    "minimum of two": (
        lambda F, x: F.minimum(x, F.reverse(x, 2)),
        lambda x: np.minimum(x, x[:, ::-1]),
    ),
    "maximum of two": (
        lambda F, x: F.maximum(x, F.reverse(x, 1)),
        lambda x: np.maximum(x, x[::-1]),
    ),
    "greater": (lambda F, x: F.greater(x, 99.0), lambda x: x > 99),
    "greater of two": (lambda F, x: F.greater(x, F.reverse(x, 2)), lambda x: x > x[:, ::-1]),
    "equal": (lambda F, x: F.equal(x, 99.0), lambda x: x == 99),
    "select": (
        lambda F, x: F.select(F.greater(x, 99.0), F.multiply(x, 2.0), F.reverse(x, 2)),
        lambda x: np.where(x > 99, 2 * x, x[:, ::-1]),
    ),
    "absolute": (lambda F, x: F.absolute(F.subtract(x, 99.0)), lambda x: np.abs(x - 99)),
    "sqrt": (lambda F, x: F.sqrt(x), np.sqrt),
    "exp": (lambda F, x: F.exp(F.multiply(x, -0.01)), lambda x: np.exp(-0.01 * x)),
    "power": (lambda F, x: F.power(F.multiply(x, 1 / 255), 2.2), lambda x: (x / 255) ** 2.2),
    "round": (lambda F, x: F.round(F.multiply(x, 0.5)), lambda x: np.rint(0.5 * x)),
    "reduce_sum": (
        lambda F, x: F.subtract(x, F.multiply(F.reduce_sum(x, (1, 2)), 0.001)),
        lambda x: x - 0.001 * x.sum(axis=(0, 1)),
    ),
    "reduce_min": (
        lambda F, x: F.subtract(x, F.reduce_min(x, (1, 2))),
        lambda x: x - x.min(axis=(0, 1)),
    ),
    "reduce_max": (
        lambda F, x: F.subtract(x, F.reduce_max(x, (3,))),
        lambda x: x - x.max(axis=2, keepdims=True),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_arithmetic(engine, noise, name):
    picture = noise(13, 17)
    of, slow = FORMULAS[name]
    expected = slow(picture.astype(np.float64))
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(engine(chain_of(picture, of), picture)[0] - expected).max() / scale <= 1e-6


def flat(F, x):
    batch, height, width, channels = F.shape(x)
    return F.reshape(x, (batch, height * width * channels))


def test_a_histogram_counts_every_level(engine, noise):
    picture = noise(31, 47)
    result = engine(chain_of(picture, lambda F, x: F.histogram(flat(F, x))), picture)
    assert np.array_equal(result, np.bincount(picture.reshape(-1), minlength=256)[None])


def test_accumulated_counts_are_exact(engine, noise):
    picture = noise(31, 47)
    result = engine(chain_of(picture, lambda F, x: accumulate(F, F.histogram(flat(F, x)))), picture)
    assert np.array_equal(result[0], np.cumsum(np.bincount(picture.reshape(-1), minlength=256)))


def test_a_table_is_looked_up(engine, noise):
    picture = noise(31, 47)

    def of(F, x):
        return F.lookup(accumulate(F, F.histogram(flat(F, x))), x)

    table = np.cumsum(np.bincount(picture.reshape(-1), minlength=256))
    assert np.array_equal(engine(chain_of(picture, of), picture)[0], table[picture])


def test_every_picture_of_a_batch_has_its_own_table(noise):
    batch = np.stack([noise(5, 3), noise(5, 3) // 2]).astype(np.float32)
    for F, x in ((NumpyPrimitives(), batch), (TorchPrimitives(), torch.from_numpy(batch))):
        tables = accumulate(F, F.histogram(flat(F, x)))
        result = np.asarray(F.lookup(tables, x))
        for picture, found in zip(batch.astype(np.uint8), result, strict=True):
            counts = np.bincount(picture.reshape(-1), minlength=256)
            assert np.array_equal(found, np.cumsum(counts)[picture])


@pytest.mark.parametrize("rank", [1, 2, 100, 195, 196])
def test_levels_are_ranked(engine, noise, rank):
    picture = noise(7, 28) // 3 * 2  # many levels twice, and many not at all
    result = engine(chain_of(picture, lambda F, x: F.ranked(rows_of(F, x), rank)), picture)
    assert np.array_equal(result[:, 0], np.sort(picture.reshape(3, 196))[:, rank - 1])


def rows_of(F, x):
    return F.reshape(x, (3, 196))


def test_every_picture_of_a_graph_has_its_own_table(engine, noise):
    picture = noise(3, 4)

    def of(F, x):
        tables = accumulate(F, F.histogram(F.reshape(x, (3, 12))))
        return F.reshape(F.lookup(tables, F.reshape(x, (3, 4, 3))), (1, 3, 4, 3))

    tables = [np.cumsum(np.bincount(row.reshape(-1), minlength=256)) for row in picture]
    expected = [table[row] for table, row in zip(tables, picture, strict=True)]
    assert np.array_equal(engine(chain_of(picture, of), picture)[0], expected)


@pytest.mark.parametrize(("border", "flag"), [("reflect", 4), ("replicate", 1)])
@pytest.mark.parametrize("size", [(6, 9), (2, 3), (1, 1)])
@pytest.mark.parametrize("widths", [(4, 5, 3, 2), (1, 2, 0, 1), (0, 0, 2, 2)], ids=str)
def test_borders_are_those_of_opencv(engine, noise, border, flag, size, widths):
    assert (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE) == (4, 1)
    picture = noise(*size)
    top, bottom, left, right = widths

    def of(F, x):
        return extend(F, extend(F, x, 1, top, bottom, border), 2, left, right, border)

    expected = cv2.copyMakeBorder(picture, top, bottom, left, right, flag)
    assert np.array_equal(engine(chain_of(picture, of), picture)[0], expected)


def test_filters_are_those_of_opencv(engine, noise):
    picture = noise(31, 47)
    rows, columns = (0.2, 0.5, 0.1), (-1.0, 3.0, 0.0, 2.0, 0.25)
    expected = cv2.sepFilter2D(
        picture.astype(np.float64), -1, np.array(columns), np.array(rows), borderType=4
    )

    def of(F, x):
        return correlate(F, correlate(F, x, 1, rows), 2, columns)

    assert np.abs(engine(chain_of(picture, of), picture)[0] - expected).max() <= 1e-3


@pytest.mark.parametrize("count", [3, 9, 81])
def test_filters_repeat_the_last_pixel_where_they_are_told_to(engine, noise, count):
    picture = noise(31, 47)
    weights = np.linspace(-1.0, 2.0, count) / count
    expected = cv2.sepFilter2D(
        picture.astype(np.float64), -1, weights, weights, borderType=cv2.BORDER_REPLICATE
    )
    of = chain_of(picture, lambda F, x: smooth(F, x, tuple(weights.tolist()), "replicate"))
    assert np.abs(engine(of, picture)[0] - expected).max() <= 1e-3


def test_gaussians_are_those_of_opencv(engine, noise):
    picture = noise(31, 47)
    weights = gaussian_weights(1.3, 4)
    assert np.abs(np.array(weights) - cv2.getGaussianKernel(9, 1.3)[:, 0]).max() <= 1e-12
    expected = cv2.GaussianBlur(picture.astype(np.float64), (9, 9), 1.3, borderType=4)
    result = engine(chain_of(picture, lambda F, x: smooth(F, x, weights)), picture)
    assert np.abs(result[0] - expected).max() <= 1e-3


def test_a_gaussian_reaches_to_three_deviations():
    assert len(gaussian_weights(1.0)) == 7
    assert len(gaussian_weights(0.1)) == 3
    assert sum(gaussian_weights(2.5)) == pytest.approx(1.0, abs=1e-12)


def corridor():
    """A winding line of 26 pixels, one seed at its start, and a room apart from both."""
    within = np.zeros((9, 11), np.uint8)
    within[0:8, 1] = within[0:8, 5] = within[1:7, 8:10] = 1
    within[8, 2:5] = within[8, 6] = 1
    seeds = np.zeros_like(within)
    seeds[0, 1] = 1
    return seeds, within


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_seeds_grow_a_pixel_a_step_and_stay_within(engine, steps):
    seeds, within = corridor()
    expected = seeds.copy()
    for _ in range(steps):
        expected = cv2.dilate(expected, np.ones((3, 3), np.uint8)) & within

    def of(F, x):
        planes = [F.reshape(F.slice(x, 3, at, at + 1), (1, *within.shape)) for at in range(2)]
        return F.grow(*planes, steps)

    picture = np.stack([seeds, within, within], axis=-1)
    assert np.array_equal(engine(chain_of(picture, of), picture)[0], expected)
    assert steps < 40 or expected[0, 5] == 1
    assert not expected[1:7, 8:10].any()


def test_filters_without_any_weight_give_black(engine, noise):
    picture = noise(5, 3)
    result = engine(chain_of(picture, lambda F, x: correlate(F, x, 1, (0.0, 0.0, 0.0))), picture)
    assert not result.any()


def test_litert_has_them_all(litert, noise):
    picture = noise(13, 17)

    def of(F, x):
        parts = [formula(F, x) for formula, _ in FORMULAS.values()]
        table = accumulate(F, F.histogram(flat(F, x)))
        middle = F.reshape(F.ranked(flat(F, x), 300), (1, 1, 1, 1))
        parts += [
            F.lookup(table, x),
            F.subtract(x, middle),
            smooth(F, x, gaussian_weights(1.0), "replicate"),
        ]
        planes = [F.greater(F.slice(F.reshape(x, (3, 13, 17)), 0, 0, 1), at) for at in (220, 90)]
        grown = F.reshape(F.grow(*planes, 3), (1, 13, 17, 1))
        return F.concat([*parts, grown], 3)

    chain = chain_of(picture, of)
    expected = chain.apply(NumpyPrimitives(), picture[None])
    scale = np.maximum(np.abs(expected).max(axis=(0, 1, 2)), 1.0)
    assert (np.abs(litert(chain, picture) - expected) / scale).max() <= 1e-6
