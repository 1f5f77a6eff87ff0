"""What counting and watching add to each call of a session."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

from benchmarks.figures import Figure, Report
from edgeprep.monitor.memory_guard import MemoryGuard
from edgeprep.monitor.meter import Meter

__all__ = ["measure"]

ROUNDS, CALLS = 31, 4000
# A hundredth of a network that answers in 2 ms.
LIMIT_US = 20.0


def measure() -> Report:
    """The counts of a call, and the guard of memory, each by itself."""
    meter, guard = Meter(), MemoryGuard()

    def count() -> None:
        meter.took("prepare", 1e-4)
        meter.took("run", 1e-3)
        meter.took("decode", 1e-5)
        meter.took("total", 1e-3)

    found = {
        "four counts": burst_us(count),
        "watching memory": burst_us(lambda: guard.after(guard.before())),
    }
    return Report(
        title=f"monitoring: what it adds to a call, {ROUNDS} rounds of {CALLS} calls",
        figures=tuple(
            Figure(name=name, value=median(each), limit=LIMIT_US, unit="µs")
            for name, each in found.items()
        ),
        notes=tuple(f"{name}: at most {max(each):.1f} µs" for name, each in found.items()),
        details=found,
    )


def burst_us(call: Callable[[], object]) -> list[float]:
    """Microseconds a call, of each round."""
    found = []
    for _ in range(ROUNDS):
        began = perf_counter()
        for _ in range(CALLS):
            call()
        found.append((perf_counter() - began) / CALLS * 1e6)
    return found
