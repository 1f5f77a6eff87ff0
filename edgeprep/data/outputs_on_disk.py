"""What a network answered to many samples, on the disk: maps of all of them fill the memory."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.on_disk import map_rows, unnamed_file, write_rows

__all__ = ["outputs_on_disk"]

Outputs = tuple[NDArray[Any], ...]

# The largest element, of which each array begins at a multiple.
_ALIGNMENT = 16


def outputs_on_disk(samples: Iterable[Outputs]) -> list[Outputs]:
    """`samples`, one tuple each, as arrays that are read from a file when they are looked at.

    Args:
        samples: of any shapes and types. Only one of them is held at a time.

    Raises:
        StorageError: the file cannot be written.
    """
    places: list[list[tuple[np.dtype[Any], tuple[int, ...], int]]] = []

    def parts() -> Iterator[NDArray[np.uint8]]:
        end = 0
        for sample in samples:
            places.append([])
            for array in sample:
                places[-1].append((array.dtype, array.shape, end))
                rows = max(-(-array.nbytes // _ALIGNMENT), 1)
                part = np.zeros((rows, _ALIGNMENT), np.uint8)
                part.reshape(-1)[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
                end += part.size
                yield part

    with unnamed_file() as file:
        shape = write_rows(file, parts())
        content = map_rows(file, shape).reshape(-1) if shape[0] else np.empty(0, np.uint8)
    return [tuple(_array(content, *place) for place in sample) for sample in places]


def _array(
    content: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...], start: int
) -> NDArray[Any]:
    return np.ndarray(shape, dtype, content.data, start)
