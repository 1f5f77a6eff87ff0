"""Times of functions that take turns, so that what disturbs the machine disturbs all of them."""

from collections.abc import Callable, Mapping

from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["in_turns"]

ROUNDS = 40


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds of each, over the quieter half of its bursts."""
    bursts: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            bursts[name].append(measure_burst(call))
    return {name: summarize(found).median_ms for name, found in bursts.items()}
