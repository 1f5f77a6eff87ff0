"""What prepares the pictures of one film, with a watch on it."""

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import EdgePrepError
from edgeprep.monitor import Meter
from edgeprep.runtime.stream import Preparing

__all__ = ["TimedPreparing"]


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
