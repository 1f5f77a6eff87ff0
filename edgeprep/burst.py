"""A short run of calls, timed: in this process or in a worker."""

from collections.abc import Callable
from time import perf_counter

__all__ = ["measure_burst"]

# A burst is long enough to bring caches and worker threads back after another candidate's turn,
# and short enough that all candidates see the same disturbances from outside. Set by judgement: the
# choices that were checked with them (`tools/bench choice`) are the only measurement behind them.
_BURST_S = 0.012
_BURST_CALLS = 40


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
