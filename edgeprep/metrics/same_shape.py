"""Predictions beside truths of the same shape."""

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from edgeprep.errors import DataError

__all__ = ["same_shape"]

Array = NDArray[Any]


def same_shape(where: str, pairs: Iterable[tuple[Array, Array]]) -> Iterator[tuple[Array, Array]]:
    """Each prediction and its truth, one at a time.

    Raises:
        DataError: they have not the same shape; the message starts with `where`.
    """
    for index, (prediction, truth) in enumerate(pairs):
        if prediction.shape != truth.shape:
            rule = (
                f"the truth of sample {index} must have the shape {prediction.shape} of its result"
            )
            raise DataError(f"{where}: {rule}, got {truth.shape}")
        yield prediction, truth
