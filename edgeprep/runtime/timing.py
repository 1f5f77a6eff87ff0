"""Latency, measured so that machines with other work on them still rank candidates rightly."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from edgeprep.burst import measure_burst

__all__ = ["Timing", "measure_burst", "summarize"]


class Timing(Struct, frozen=True, kw_only=True):
    """Latency of one candidate, in milliseconds, while nothing else disturbed it."""

    median_ms: float
    p90_ms: float


def summarize(bursts: Sequence[Sequence[float]]) -> Timing:
    """The statistics of the quieter half of `bursts`, in milliseconds; at least one.

    Other work on the machine comes and goes; what it slows down, it slows for whole bursts, and
    twofold. So bursts are left out as a whole, and what is uneven inside the others counts.
    """
    quiet = sorted(bursts, key=np.median)[: (len(bursts) + 1) // 2]
    times = np.concatenate(quiet)
    return Timing(median_ms=float(np.median(times)), p90_ms=float(np.percentile(times, 90)))
