"""Maps that a network gives, at the size of the picture that came in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.geometry import Frame

__all__ = ["resample"]


def resample(maps: NDArray[Any], frame: Frame, *, scale: int = 1) -> NDArray[np.float32]:
    """`maps` of what a network saw, interpolated at the pixels of the picture that came in.

    Beyond what the network saw, the nearest value that it gave.

    Args:
        maps: `(C, h, w)`, over the whole of what the network saw, at any scale.
        frame: of the picture; its map turns by quarters at most.
        scale: how many times as wide and high as the picture the result is.

    Returns:
        `(C, H · scale, W · scale)`, float32.

    Source: bilinear, pixel centres at half-integers, as ONNX Resize-19 with `half_pixel`
    (tests/tasks/test_resampling.py).
    """
    values = maps.astype(np.float32)
    height, width = values.shape[1:]
    seen = frame.back[0].inverse()
    across, down = width / frame.seen[1], height / frame.seen[0]
    columns, rows = (
        (np.arange(length * scale) + 0.5) / scale for length in (frame.width, frame.height)
    )
    if seen.x[0] == 0.0:
        # Turned by a quarter: x of what the network saw is along y of the picture.
        values = values.transpose(0, 2, 1)
        x = (seen.y[0] * columns + seen.y[2]) * down - 0.5
        y = (seen.x[1] * rows + seen.x[2]) * across - 0.5
    else:
        x = (seen.x[0] * columns + seen.x[2]) * across - 0.5
        y = (seen.y[1] * rows + seen.y[2]) * down - 0.5
    return _along(_along(values, y, 1), x, 2)


def _along(values: NDArray[np.float32], places: NDArray[Any], axis: int) -> NDArray[np.float32]:
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
