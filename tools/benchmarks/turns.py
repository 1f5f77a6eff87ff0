"""How long engines take for several models of one input, measured in turns."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines import BARE
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["latencies_ms"]

_ROUNDS = 31


def latencies_ms(
    engine: str, models: Sequence[Mapping[str, bytes]], image: NDArray[np.uint8], *, threads: int
) -> list[float]:
    """The median latency of each of `models`, in milliseconds.

    Args:
        engine: one of `BARE`.
        models: the files of each.
        image: what all of them take, `(1, H, W, C)`.
        threads: so many compute.
    """
    calls = [BARE[engine](files, threads) for files in models]
    rounds = [[measure_burst(lambda: call(image)) for call in calls] for _ in range(_ROUNDS)]  # noqa: B023
    return [summarize(bursts).median_ms for bursts in zip(*rounds, strict=True)]
