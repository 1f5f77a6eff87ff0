"""The resizes in float64, written from PREPROCESSING's formula: two dense matrices."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "reference"]

# The recipe's words for each.
METHODS: dict[str, dict[str, object]] = {
    "bilinear": {"antialias": False},
    "antialiased": {},
    "area": {"method": "area"},
}


def matrix(method: str, length_in: int, length_out: int) -> NDArray[np.float64]:
    """`(length_out, length_in)`, rows that sum to 1."""
    scale = length_in / length_out
    output, source = np.arange(length_out)[:, None], np.arange(length_in)[None]
    if method == "area":
        covered = np.minimum((output + 1) * scale, source + 1) - np.maximum(output * scale, source)
        weights = np.maximum(covered, 0)
    else:
        reach = max(scale, 1.0) if method == "antialiased" else 1.0
        centre = (output + 0.5) * scale - 0.5
        if method == "bilinear":
            centre = np.clip(centre, 0, length_in - 1)
        weights = np.maximum(1 - np.abs(source - centre) / reach, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def reference(
    method: str, picture: NDArray[np.uint8], height: int, width: int
) -> NDArray[np.float64]:
    """`(H, W, C)`, uint8, to `(height, width, C)`, float64."""
    down = matrix(method, picture.shape[0], height)
    across = matrix(method, picture.shape[1], width)
    rows = np.tensordot(down, picture.astype(np.float64), axes=(1, 0))
    return np.tensordot(rows, across, axes=(1, 1)).transpose(0, 2, 1)
