"""Resampling along one axis as a banded matrix, computed block by block.

Every separable resize is two constant matrices with few entries per row. Four rows at a time read
one short, contiguous run of the input, so that the whole is a gather and a batch of small matrix
products: the same in every engine, where native antialiased resizes differ or are missing.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Primitives

__all__ = ["Bands", "Kernel", "bands", "resample"]

Kernel = Literal["bilinear", "area", "bicubic"]

T = TypeVar("T")

# 4 outputs share one run of inputs: fewer make the products too small to be fast, more waste
# arithmetic on zeros (18 instead of 812 million products at 1280×720 → 224×224; 33 for 8 outputs,
# which take numpy 1.4 times as long, LiteRT 1.2 times, and the others as long).
BLOCK = 4


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """The matrix of one axis, cut into blocks of `BLOCK` outputs.

    Attributes:
        length: the number of outputs; the last block may have rows beyond it, which are zero.
        starts: `(blocks,)`, the first input that each block reads.
        weights: `(blocks, rows, run)`, float32; a row sums to 1.
    """

    length: int
    starts: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def indices(self) -> NDArray[np.int64]:
        """`(blocks · run,)`: the inputs that the blocks read, one run after the other."""
        runs: NDArray[np.int64] = self.starts[:, None] + np.arange(self.weights.shape[2])
        return runs.reshape(-1)


@lru_cache(maxsize=64)
def bands(length_in: int, length_out: int, kernel: Kernel) -> Bands:
    """The matrix that takes `length_in` values to `length_out`.

    bilinear: a triangle as wide as the scale (at least one pixel to each side), normalized over
    the pixels that exist; bicubic: the cubic of a = -0.5, twice as wide, likewise. area: the part
    of each input pixel that the output pixel covers.

    Source: bilinear is Pillow's BILINEAR and torch's antialias=True when shrinking, and plain
    half-pixel bilinear when growing; bicubic is Pillow's BICUBIC and torch's with antialias=True;
    area is OpenCV's INTER_AREA when shrinking (tests/stages/test_resize_oracles.py).
    """
    scale = length_in / length_out
    position = np.arange(length_out, dtype=np.float64)
    width = max(scale, 1.0)
    centre = (position + 0.5) * scale - 0.5
    if kernel == "area":
        low, high = position * scale, (position + 1.0) * scale
        first, last = np.floor(low), np.ceil(high) - 1
    else:
        reach = SHAPES[kernel][0] * width
        first, last = np.floor(centre - reach) + 1, np.ceil(centre + reach) - 1
    first = np.clip(first, 0, length_in - 1).astype(np.int64)
    last = np.clip(last, 0, length_in - 1).astype(np.int64)
    source = first[:, None] + np.arange((last - first).max() + 1)
    if kernel == "area":
        weights = np.minimum(high[:, None], source + 1.0) - np.maximum(low[:, None], source)
        weights = np.maximum(weights, 0.0)
    else:
        weights = SHAPES[kernel][1](np.abs(source - centre[:, None]) / width)
    weights = np.where(source < length_in, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return _blocks(length_in, first, last, weights)


def _triangle(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - distance, 0.0)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic with a = -0.5, by Horner's rule."""
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((2.5 - 0.5 * distance) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))


# How far each kernel reaches, and its weight at a distance, in pixels of the smaller picture.
SHAPES = {"bilinear": (1.0, _triangle), "bicubic": (2.0, _cubic)}


def _blocks(
    length_in: int,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> Bands:
    length = len(first)
    rows = min(BLOCK, length)
    leaders = np.arange(0, length, rows)
    followers = np.minimum(leaders + rows, length) - 1
    run = int((last[followers] - first[leaders]).max()) + 1
    starts = np.minimum(first[leaders], length_in - run)
    blocked = np.zeros((len(leaders), rows, run), np.float32)
    for output in range(length):
        block, row = divmod(output, rows)
        offset = first[output] - starts[block]
        count = last[output] - first[output] + 1
        blocked[block, row, offset : offset + count] = weights[output, :count]
    return Bands(length, starts, blocked)


def resample(F: Primitives[T], x: T, axis: int, matrix: Bands) -> T:
    """`F.resample` in terms of the other primitives, for engines that run graphs."""
    if axis == 2:
        # Channels go in between: engines move single numbers in rows, and runs of three one by one.
        turned = resample(F, F.transpose(x, (0, 2, 3, 1)), 1, matrix)
        return F.transpose(turned, (0, 3, 1, 2))
    batch, _, *across = F.shape(x)
    blocks, rows, run = matrix.weights.shape
    # Gather before the cast: uint8 is a quarter of the bytes to move.
    runs = F.cast(F.gather(x, 1, matrix.indices), "float32")
    runs = F.reshape(runs, (batch, blocks, run, prod(across)))
    outputs = F.matmul(matrix.weights[None], runs)
    outputs = F.reshape(outputs, (batch, blocks * rows, *across))
    if blocks * rows == matrix.length:
        return outputs
    return F.slice(outputs, 1, 0, matrix.length)
