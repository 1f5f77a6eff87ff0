"""The search for the candidate that needs the least memory."""

from collections.abc import Callable, Sequence

from edgeprep.errors import BackendError, NoUsableBackend
from edgeprep.runtime.candidates import Candidate, Reachable
from edgeprep.runtime.choose import Prober, Trial

__all__ = ["find_smallest", "with_fewest_threads"]

# Two measurements of one candidate differ by less than this share; of what is as small as that,
# the quickest is taken.
_SAME = 1.03
_BURSTS = 3


def find_smallest(
    prober: Prober, candidates: Sequence[Reachable], *, weigh: Callable[[Reachable], int]
) -> Trial:
    """The winner, loaded; the others are closed and their outcomes kept.

    Args:
        prober: loads and times.
        candidates: all that may win. Of those that differ in the number of threads, only the one
            with the fewest is tried, as others need more.
        weigh: the most memory that a process with nothing but this candidate holds, in bytes.

    Raises:
        NoUsableBackend: no candidate is left.
    """
    weights: dict[str, int] = {}
    times: dict[str, float] = {}
    known: list[Reachable] = []
    fewest = with_fewest_threads(candidates)
    for one in candidates:
        if one not in fewest:
            prober.pass_over(one, "more threads need more memory")
            continue
        trial = prober.prove(one)
        if trial is None or not all(prober.measure(trial) for _ in range(_BURSTS)):
            continue
        try:
            trial.memory_bytes = weigh(one)
        except BackendError as fault:
            prober.give_up(trial, fault)
            continue
        prober.retire([trial])
        weights[str(one.candidate)] = trial.memory_bytes
        times[str(one.candidate)] = trial.best_ms
        known.append(one)
    while known:
        limit = min(weights[str(one.candidate)] for one in known) * _SAME
        small = [one for one in known if weights[str(one.candidate)] <= limit]
        best = min(small, key=lambda one: times[str(one.candidate)])
        prober.reconsider(best.candidate)
        trial = prober.prove(best)
        if trial is not None and prober.measure(trial):
            trial.memory_bytes = weights[str(best.candidate)]
            return prober.rank([trial])
        known.remove(best)
    raise NoUsableBackend(prober.nothing_left())


def with_fewest_threads(candidates: Sequence[Reachable]) -> list[Reachable]:
    """Those of which there is no other that differs in fewer threads alone."""
    return [
        one
        for one in candidates
        if not any(_has_fewer(other.candidate, one.candidate) for other in candidates)
    ]


def _has_fewer(other: Candidate, candidate: Candidate) -> bool:
    # NOTE: not `==`: how several threads wait for each other is no setting of a single one.
    alike = _place(other) == _place(candidate) and _rest(other) <= _rest(candidate)
    return alike and _threads(other) < _threads(candidate)


def _threads(candidate: Candidate) -> int:
    threads = candidate.options.get("threads")
    return threads if isinstance(threads, int) else 0


def _place(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.variant, candidate.backend, candidate.device


def _rest(candidate: Candidate) -> set[tuple[str, int | str]]:
    return {(name, value) for name, value in candidate.options.items() if name != "threads"}
