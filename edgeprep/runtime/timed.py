"""What prepares the pictures of one film, and what answers them, with a watch on it."""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import EdgePrepError
from edgeprep.monitor import Meter
from edgeprep.runtime.stream import Preparing, ResultStream

__all__ = ["TimedPreparing", "TimedStream"]


class TimedPreparing(Preparing):
    """As `preparing`, whose times and errors `meter` counts."""

    def __init__(self, preparing: Preparing, meter: Meter) -> None:
        self._preparing = preparing
        self._meter = meter

    def prepare(
        self, picture: NDArray[np.uint8], time_s: float | None = None
    ) -> NDArray[np.uint8] | None:
        """See `Stream.prepare`."""
        began = perf_counter()
        try:
            prepared = self._preparing.prepare(picture, time_s)
        except EdgePrepError as error:
            self._meter.failed(error)
            raise
        self._meter.took("prepare", perf_counter() - began)
        return prepared


class TimedStream(ResultStream):
    """As what `begin` makes of pictures, of which `meter` counts how long each took in all.

    Args:
        begin: a stream of the pictures that it is given.
        pictures: those of the caller, for which nobody counts how long they take to come.
        meter: counts each as "total", from when it came to its result.
    """

    def __init__(
        self,
        begin: Callable[[Iterable[NDArray[np.uint8]]], ResultStream],
        pictures: Iterable[NDArray[np.uint8]],
        meter: Meter,
    ) -> None:
        self._came = _Came()
        self._stream = begin(map(self._came, pictures))
        self._meter = meter

    def reset(self) -> None:
        """See `ResultStream.reset`."""
        self._stream.reset()

    def close(self) -> None:
        """See `ResultStream.close`."""
        self._stream.close()

    def __next__(self) -> Any:
        """See `ResultStream.__next__`."""
        result = next(self._stream)
        self._meter.took("total", perf_counter() - self._came.at_s)
        return result


class _Came:
    """Knows when the last picture came."""

    at_s = 0.0

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.at_s = perf_counter()
        return picture
