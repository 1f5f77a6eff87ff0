"""Latency, measured so that machines with other work on them still rank candidates rightly."""

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from msgspec import Struct

__all__ = ["Timing", "measure_burst", "summarize"]

# A burst is long enough to bring caches and worker threads back after another candidate's turn,
# and short enough that all candidates see the same disturbances from outside. Set by judgement: the
# choices that were checked with them (`tools/bench choice`) are the only measurement behind them.
_BURST_S = 0.012
_BURST_CALLS = 40


class Timing(Struct, frozen=True, kw_only=True):
    """Latency of one candidate, in milliseconds, while nothing else disturbed it."""

    median_ms: float
    p90_ms: float


def measure_burst(call: Callable[[], object]) -> list[float]:
    """Milliseconds of each of a short run of calls, after one call that is not counted."""
    call()
    times = []
    end = perf_counter() + _BURST_S
    for _ in range(_BURST_CALLS):
        start = perf_counter()
        call()
        stop = perf_counter()
        times.append((stop - start) * 1e3)
        if stop > end:
            break
    return times


def summarize(bursts: Sequence[Sequence[float]]) -> Timing:
    """The statistics of the quieter half of `bursts`, in milliseconds; at least one.

    Other work on the machine comes and goes; what it slows down, it slows for whole bursts, and
    twofold. So bursts are left out as a whole, and what is uneven inside the others counts.
    """
    quiet = sorted(bursts, key=np.median)[: (len(bursts) + 1) // 2]
    times = np.concatenate(quiet)
    return Timing(median_ms=float(np.median(times)), p90_ms=float(np.percentile(times, 90)))
