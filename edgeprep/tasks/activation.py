"""How outputs of networks become scores in 0..1."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["sigmoid", "softmax"]

Floats = TypeVar("Floats", np.float32, np.float64)


def sigmoid(values: NDArray[Floats]) -> NDArray[Floats]:
    """Of each value for itself."""
    # The same function as 1 / (1 + exp(-x)), without its overflow.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), values.dtype)


def softmax(values: NDArray[Floats], axis: int = 0) -> NDArray[Floats]:
    """Of all values along `axis`, which come to 1 together."""
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), values.dtype)
