"""Linear filters along one axis: the same in every engine, where convolutions differ in speed.

Depthwise convolutions of three channels are slow in TFLite. Three weights are a sum of slices.
More are a product with one small banded matrix, which no engine is slow at: at 224x224 pixels
49 weights take 1.5 times as long as 5, where sums of slices take ten times as long.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, cos, log, pi, prod, sqrt
from typing import Annotated, TypeVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives
from edgeprep.stages.formulas.borders import Border, extend, inside

__all__ = [
    "CutOff",
    "Sigma",
    "check_cutoff",
    "correlate",
    "gaussian_weights",
    "low_pass_weights",
    "smooth",
]

T = TypeVar("T")

# A standard deviation, in pixels.
Sigma = Annotated[float, Meta(ge=0.1, le=100.0)]
# A frequency, in cycles a pixel. Below the least one, kernels are longer than pictures.
LOWEST, HIGHEST = 0.002, 0.5
CutOff = Annotated[float, Meta(extra_json_schema={"minimum": LOWEST, "maximum": HIGHEST})]

# Rows of the result that one product makes: fewer read more rows twice, more multiply more zeros
# and add more to a graph. A quarter of the weights is best, within these bounds.
FEWEST_ROWS, MOST_ROWS = 16, 64
# Where a kernel is longer than a picture, one product makes all rows: of a matrix that adds no more
# than 256 kB to a graph.
LONGEST_DENSE = 256
# Up to so many weights, a sum of slices is as fast as a product, and exact for whole weights even
# in an engine that multiplies matrices in fewer bits.
FEW = 3


def correlate(
    F: Primitives[T], x: T, axis: int, weights: Sequence[float], border: Border = "reflect"
) -> T:
    """`(N, H, W, C)`, float32, with each element replaced by a weighted sum of its neighbours.

    Args:
        F: the interpreter.
        x: pictures.
        axis: 1 for rows, 2 for columns.
        weights: an odd number of them; the middle one is that of the element itself.
        border: what lies beyond the edge.
    """
    if len(weights) <= FEW:
        return _by_slices(F, x, axis, weights, border)
    if axis == 1:
        return _by_blocks(F, x, weights, border)
    # Channels go in between: engines move single numbers in rows, and runs of three one by one.
    turned = _by_blocks(F, F.transpose(x, (0, 2, 3, 1)), weights, border)
    return F.transpose(turned, (0, 3, 1, 2))


def _by_slices(F: Primitives[T], x: T, axis: int, weights: Sequence[float], border: Border) -> T:
    radius = len(weights) // 2
    length = F.shape(x)[axis]
    wide = extend(F, x, axis, radius, radius, border)
    total: T | None = None
    for offset in range(radius + 1):
        weight, mirrored = weights[offset], weights[2 * radius - offset]
        part = F.slice(wide, axis, offset, offset + length)
        other = F.slice(wide, axis, 2 * radius - offset, 2 * radius - offset + length)
        if offset == radius:
            term = F.multiply(part, weight)
        elif weight == mirrored:
            term = F.multiply(F.add(part, other), weight)
        elif weight == -mirrored:
            term = F.multiply(F.subtract(part, other), weight)
        else:
            term = F.add(F.multiply(part, weight), F.multiply(other, mirrored))
        if weight == mirrored == 0.0:
            continue
        total = term if total is None else F.add(total, term)
    return F.multiply(x, 0.0) if total is None else total


def _by_blocks(F: Primitives[T], x: T, weights: Sequence[float], border: Border) -> T:
    batch, length, *across = F.shape(x)
    if length <= min(len(weights), LONGEST_DENSE):
        lines = F.reshape(x, (batch, length, prod(across)))
        result = F.matmul(_dense(tuple(weights), length, border)[None], lines)
        return F.reshape(result, (batch, length, *across))
    rows = min(max(len(weights) // 4, FEWEST_ROWS), MOST_ROWS, length)
    blocks = ceil(length / rows)
    matrix = _band(tuple(weights), rows)
    run = matrix.shape[1]
    # The rows that each block reads, borders included; those of the last block may be beyond use.
    reads = np.arange(blocks)[:, None] * rows + np.arange(run) - len(weights) // 2
    runs = F.gather(x, 1, inside(reads.reshape(-1), length, border))
    runs = F.reshape(runs, (batch, blocks, run, prod(across)))
    result = F.matmul(matrix[None, None], runs)
    result = F.reshape(result, (batch, blocks * rows, *across))
    return result if blocks * rows == length else F.slice(result, 1, 0, length)


@lru_cache(maxsize=16)
def _dense(weights: tuple[float, ...], length: int, border: Border) -> NDArray[np.float32]:
    """`(length, length)`: each row has the weights of all elements, those beyond the edge too."""
    matrix = np.zeros((length, length))
    offsets = np.arange(len(weights)) - len(weights) // 2
    for row in range(length):
        np.add.at(matrix[row], inside(row + offsets, length, border), weights)
    return matrix.astype(np.float32)


@lru_cache(maxsize=64)
def _band(weights: tuple[float, ...], rows: int) -> NDArray[np.float32]:
    """`(rows, rows + len(weights) - 1)`: the weights once in every row, each time one further."""
    matrix = np.zeros((rows, rows + len(weights) - 1), np.float32)
    for row in range(rows):
        matrix[row, row : row + len(weights)] = weights
    return matrix


def smooth(F: Primitives[T], x: T, weights: Sequence[float], border: Border = "reflect") -> T:
    """`x` filtered by the same `weights` along rows and columns."""
    return correlate(F, correlate(F, x, 1, weights, border), 2, weights, border)


def gaussian_weights(sigma: float, radius: int | None = None) -> tuple[float, ...]:
    """A Gaussian of standard deviation `sigma` pixels, cut at `radius` and brought to sum 1.

    Args:
        sigma: in pixels, above 0.
        radius: None: `ceil(3 · sigma)`, beyond which 0.3 % of the weight lies.

    Source: with a radius, OpenCV's getGaussianKernel(2 · radius + 1, sigma).
    """
    reach = ceil(3 * sigma) if radius is None else radius
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return tuple((weights / weights.sum()).tolist())


@lru_cache(maxsize=64)
def low_pass_weights(cutoff: float) -> tuple[float, ...]:
    """A Gaussian that lets `1 / sqrt(2)` of the amplitude pass at `cutoff`, which is -3 dB.

    A Gaussian passes `exp(-2 (π · sigma · f)²)` of a wave of `f` cycles a pixel, so that
    `sigma = sqrt(ln 2) / (2 π · cutoff)`, and the kernel has `2 · ceil(3 · sigma) + 1` weights.
    Above a cut-off of 0.2 these are too few for that formula, and sigma is corrected until the
    weights themselves pass what they should.

    Args:
        cutoff: in cycles a pixel, above 0 and at most 0.5.
    """
    sigma = sqrt(log(2)) / (2 * pi * cutoff)
    radius = ceil(3 * sigma)
    low, high = sigma / 2, sigma * 2
    for _ in range(50):
        sigma = (low + high) / 2
        if _passes(gaussian_weights(sigma, radius), cutoff) > sqrt(0.5):
            low = sigma
        else:
            high = sigma
    return gaussian_weights(sigma, radius)


def check_cutoff(where: str, cutoff: float) -> None:
    """Refuse a frequency that no kernel is made for.

    Raises:
        RecipeError: `cutoff` is not between 0.002 and 0.5 cycles a pixel.
    """
    if not LOWEST <= cutoff <= HIGHEST:
        remedy = "a wave needs at least two pixels, and kernels end at 400"
        rule = f"must be at least {LOWEST} and at most {HIGHEST} cycles a pixel"
        raise RecipeError(f"{where}: {rule}, got {cutoff!r}; {remedy}")


def _passes(weights: Sequence[float], frequency: float) -> float:
    """How much of the amplitude of a wave, in cycles a pixel, leaves a symmetric filter."""
    radius = len(weights) // 2
    waves = (cos(2 * pi * frequency * (offset - radius)) for offset in range(len(weights)))
    return sum(weight * wave for weight, wave in zip(weights, waves, strict=True))
