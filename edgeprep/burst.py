"""A short run of calls, timed: in this process or in a worker."""

from collections.abc import Callable
from threading import Barrier, Thread
from time import perf_counter

__all__ = ["measure_burst", "measure_busy"]

# A burst is long enough to bring caches and worker threads back after another candidate's turn,
# and short enough that all candidates see the same disturbances from outside. Set by judgement: the
# choices that were checked with them (`tools/bench choice`) are the only measurement behind them.
_BURST_S = 0.012
_BURST_CALLS = 40


# Threads take their time to get going, and wait for each other in turn.
_BUSY_S = 0.03


def measure_busy(call: Callable[[], object], callers: int) -> list[float]:
    """Milliseconds from one end of a call to the next, where so many threads call in a row.

    Of a short run of calls of each, after one that is not counted; what counts is divided by
    `callers`, as that many end in the time that one takes.

    Raises:
        Exception: what `call` raises in any of them.
    """
    if callers == 1:
        return measure_burst(call)
    together = Barrier(callers)
    times: list[float] = []
    faults: list[BaseException] = []

    def caller() -> None:
        try:
            call()
        except BaseException as fault:  # noqa: BLE001 -- raised again where it is waited for
            faults.append(fault)
        together.wait()
        end = perf_counter() + _BUSY_S
        try:
            while not faults:
                start = perf_counter()
                call()
                stop = perf_counter()
                times.append((stop - start) * 1e3 / callers)
                if stop > end:
                    break
        except BaseException as fault:  # noqa: BLE001 -- as above
            faults.append(fault)

    threads = [Thread(target=caller, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return times


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
