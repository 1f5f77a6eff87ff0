"""Outcomes in order: the chosen one, then by how much worse the others are."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from edgeprep.runtime.candidates import Outcome
from edgeprep.runtime.goals import Goal

__all__ = ["ranked"]

_BEST: Mapping[Goal, str] = {
    "latency": "the fastest that computes the right numbers",
    "throughput": "the most pictures a second, with the right numbers",
    "memory": "the least memory, with the right numbers",
}


def ranked(winner: Outcome, others: Sequence[Outcome], goal: Goal) -> list[Outcome]:
    """`winner` as the chosen one, and after it `others`, each that was measured with its share."""
    chosen = replace(winner, verdict="chosen", reason=_BEST[goal])
    best = _cost(chosen)
    losers = [
        replace(outcome, reason=f"{_cost(outcome) / best:.2f} times the chosen one")
        if outcome.timing
        else outcome
        for outcome in others
    ]
    losers.sort(key=_cost)
    return [chosen, *losers]


def _cost(outcome: Outcome) -> float:
    """What the best one has least of: memory, where it was measured, or time."""
    if outcome.memory_bytes is not None:
        return outcome.memory_bytes
    return outcome.timing.median_ms if outcome.timing else float("inf")
