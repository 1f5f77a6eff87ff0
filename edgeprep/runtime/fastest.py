"""The search for the fastest candidate: a first look at each, then the best few in turns."""

import math
from collections.abc import Sequence
from time import perf_counter

from edgeprep.errors import NoUsableBackend
from edgeprep.runtime.candidates import Candidate, Reachable
from edgeprep.runtime.choose import Prober, Trial

__all__ = ["find_fastest"]

# First look: a candidate this much slower than the best one so far cannot win any more, even if
# something disturbed it; so much slower, it needs no second look either.
_HOPELESS = 1.6
_FAR_BEHIND = 2.5
_FIRST_SAMPLES = 1
_FIRST_BURSTS = 3
# How much more than n times as fast n threads may be: they have more cache as well.
_SUPERLINEAR = 1.25
# Final: farther apart than what noise of the machine makes of equal ones.
_BEHIND = 1.15
_FINALISTS = 3  # and one that is looked at: so many are in memory together
_FEWEST_ROUNDS = 5
_MOST_ROUNDS = 25


def find_fastest(prober: Prober, candidates: Sequence[Reachable], *, seconds: float) -> Trial:
    """The winner, loaded; the others are closed and their outcomes kept.

    Only a few candidates are ever in memory together: a first look at each, in turns with the best
    one so far, keeps the most promising. These are then measured in turns, so that all see the same
    machine.

    Args:
        prober: loads and times.
        candidates: all that may win.
        seconds: how long the final may take, if that allows a few rounds.

    Raises:
        NoUsableBackend: no candidate is left.
    """
    finalists: list[Trial] = []
    looked_at: list[Trial] = []
    for reachable in candidates:
        if reason := _cannot_win(reachable.candidate, looked_at):
            prober.pass_over(reachable.candidate, reason)
            continue
        # One sample now, all of them once it is worth their time.
        trial = prober.prove(reachable, _FIRST_SAMPLES)
        if trial is None or not _look(prober, trial, finalists):
            continue
        looked_at.append(trial)
        if trial.behind > _HOPELESS:
            prober.retire([trial])
        elif prober.prove_again(trial):
            finalists.append(trial)
            finalists.sort(key=lambda t: t.best_ms)
            limit = finalists[0].best_ms * _HOPELESS
            keep = [t for t in finalists[:_FINALISTS] if t.best_ms <= limit]
            prober.retire([t for t in finalists if t not in keep])
            finalists = keep
    return _final(prober, finalists, seconds)


def _look(prober: Prober, trial: Trial, finalists: list[Trial]) -> bool:
    """Whether `trial` runs; it learns how far it is behind the best finalist, measured now."""
    best_ms = math.inf
    for _ in range(_FIRST_BURSTS):
        if not prober.measure(trial):
            return False
        while finalists:
            if prober.measure(finalists[0]):
                best_ms = min(best_ms, *finalists[0].bursts[-1])
                break
            del finalists[0]
        # NOTE: the first candidate of all is behind nobody.
        trial.behind = max(trial.best_ms / best_ms, 1.0)
        if trial.behind > _FAR_BEHIND:
            break
    return True


def _final(prober: Prober, finalists: list[Trial], seconds: float) -> Trial:
    for trial in finalists:
        trial.bursts.clear()
    end = perf_counter() + seconds
    for count in range(1, _MOST_ROUNDS + 1):
        # Back and forth, so that none always follows the same other one.
        finalists = [trial for trial in reversed(finalists) if prober.measure(trial)]
        if count >= _FEWEST_ROUNDS:
            limit = min((t.timing.median_ms for t in finalists), default=0.0) * _BEHIND
            prober.retire([t for t in finalists if t.timing.median_ms > limit])
            finalists = [t for t in finalists if t.timing.median_ms <= limit]
        if len(finalists) < 2 or (count >= _FEWEST_ROUNDS and perf_counter() > end):
            break
    if not finalists:
        raise NoUsableBackend(prober.nothing_left())
    return prober.rank(finalists)


def _cannot_win(candidate: Candidate, looked_at: Sequence[Trial]) -> str | None:
    """Why more threads cannot make a candidate the fastest; None where they might."""
    threads, settings = _split(candidate)
    for trial in looked_at:
        fewer, known = _split(trial.reachable.candidate)
        # NOTE: not `==`: how several threads wait for each other is no setting of a single one.
        comparable = 0 < fewer < threads and known <= settings
        if comparable and trial.behind * fewer / threads > _SUPERLINEAR:
            return (
                f"threads={fewer} took {trial.behind:.1f} times as long as the best; "
                f"{threads} cannot make up for that"
            )
    return None


def _split(candidate: Candidate) -> tuple[int, set[tuple[str, object]]]:
    """The number of threads, 0 where the options give none, and all else that is chosen."""
    options = dict(candidate.options)
    given = options.get("threads")
    # An engine may have words for it, such as "auto".
    threads = int(options.pop("threads")) if isinstance(given, int) else 0
    settings: set[tuple[str, object]] = {
        ("variant", candidate.variant),
        ("backend", candidate.backend),
        ("device", candidate.device),
        *options.items(),
    }
    return threads, settings
