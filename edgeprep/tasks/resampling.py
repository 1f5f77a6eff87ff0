"""Maps that a network gives, at the size of the picture that came in."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.geometry import Frame

__all__ = ["bands", "looked_at", "nearest", "resample"]

# What the maps of one band hold, at most: 4 MiB of float32, which caches of processors have.
_MOST_VALUES = 2**20
# Of a pixel of what the network saw: what rounding moves the centres of pixels at its very border.
_ROUNDING = 1e-6

Floats = NDArray[np.float64]


def resample(maps: NDArray[Any], frame: Frame, *, scale: int = 1) -> NDArray[np.float32]:
    """`maps` of what a network saw, interpolated at the pixels of the picture that came in.

    Beyond what the network saw, the nearest value that it gave; see `looked_at`.

    Args:
        maps: `(C, h, w)`, over the whole of what the network saw, at any scale.
        frame: of the picture; its map turns by quarters at most.
        scale: how many times as wide and high as the picture the result is.

    Returns:
        `(C, H · scale, W · scale)`, float32.

    Source: bilinear, pixel centres at half-integers, as ONNX Resize-19 with `half_pixel`
    (tests/tasks/test_resampling.py).
    """
    values, y, x = _at_pixels(maps.astype(np.float32, copy=False), frame, scale)
    return _interpolated(values, y, x)


def bands(maps: NDArray[Any], frame: Frame, *, scale: int = 1) -> Iterator[NDArray[np.float32]]:
    """The same as `resample`, some rows at a time: all classes of a large picture are gigabytes.

    Yields:
        `(C, rows, W · scale)`, float32, from the top.
    """
    values, y, x = _at_pixels(maps.astype(np.float32, copy=False), frame, scale)
    rows = max(1, _MOST_VALUES // (len(values) * len(x)))
    for first in range(0, len(y), rows):
        yield _interpolated(values, y[first : first + rows], x)


def nearest(classes: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Numbers of classes, between which there is nothing: of every pixel, the one at its centre.

    Args:
        classes: `(h, w)`, over the whole of what the network saw, at any scale.
        frame: as for `resample`.

    Returns:
        `(H, W)`, of the same dtype.
    """
    values, y, x = _at_pixels(classes[None], frame, 1)
    rows, columns = (
        np.clip(np.floor(places + 0.5), 0, length - 1).astype(np.int64)
        for places, length in zip((y, x), values.shape[1:], strict=True)
    )
    return np.asarray(values[0][rows[:, None], columns])


def looked_at(frame: Frame) -> NDArray[np.bool_]:
    """Which pixels of the picture the network saw: `(H, W)`; a crop leaves some out.

    A view of few numbers where the network saw all.
    """
    rows, columns = (
        (places >= -_ROUNDING) & (places <= length + _ROUNDING)
        for places, length in _seen_at(frame, 1)
    )
    if rows.all() and columns.all():
        return np.broadcast_to(np.True_, (frame.height, frame.width))
    return rows[:, None] & columns


def _seen_at(frame: Frame, scale: int) -> tuple[tuple[Floats, int], tuple[Floats, int]]:
    """Where rows and columns of the picture are in what the network saw, each with its length."""
    seen = frame.back[0].inverse()
    columns, rows = (
        (np.arange(length * scale) + 0.5) / scale for length in (frame.width, frame.height)
    )
    down, across = frame.seen
    if seen.x[0] == 0.0:
        # Turned by a quarter: x of what the network saw is along y of the picture.
        return (
            (seen.x[1] * rows + seen.x[2], across),
            (seen.y[0] * columns + seen.y[2], down),
        )
    return (seen.y[1] * rows + seen.y[2], down), (seen.x[0] * columns + seen.x[2], across)


def _at_pixels(
    values: NDArray[Any], frame: Frame, scale: int
) -> tuple[NDArray[Any], Floats, Floats]:
    """`values`, turned as the picture is, and where in them its rows and columns are."""
    if frame.back[0].x[0] == 0.0:
        values = values.transpose(0, 2, 1)
    y, x = (
        places * (length / seen) - 0.5
        for (places, seen), length in zip(_seen_at(frame, scale), values.shape[1:], strict=True)
    )
    return values, y, x


def _interpolated(values: NDArray[np.float32], y: Floats, x: Floats) -> NDArray[np.float32]:
    return _along(_along(values, y, 1), x, 2)


def _along(values: NDArray[np.float32], places: Floats, axis: int) -> NDArray[np.float32]:
    """`values` at `places` along `axis`, linearly between two neighbours."""
    last = values.shape[axis] - 1
    places = np.clip(places, 0.0, last)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, last)
    shape = [1, 1, 1]
    shape[axis] = len(places)
    share = (places - low).astype(np.float32).reshape(shape)
    first, second = values.take(low, axis), values.take(high, axis)
    # NOTE: not a weighted sum, whose weights add to 1 up to rounding alone.
    return np.asarray(first + (second - first) * share)
