"""The search for the fastest candidate: a first look at each, then the best few in turns."""

import math
from collections.abc import Sequence
from time import perf_counter

from msgspec import Struct

from edgeprep.errors import NoUsableBackend
from edgeprep.runtime.candidates import Candidate, Reachable
from edgeprep.runtime.choose import Prober, Trial

__all__ = ["find_fastest"]

# NOTE: these are set by judgement, on one machine with two cores of a cloud server. What has been
# measured is what they do together, by `tools/bench choice`: of five first opens each of a small
# network, a MobileNetV2 and a ResNet-50, none chose what was more than 5 % slower than the best of
# all candidates. None was varied alone, and no other processor was tried.
#
# First look: a candidate this much slower than the best one so far cannot win any more, even if
# something disturbed it; so much slower, it needs no second look either. A candidate set against
# itself, 60 times with each of seven settings of three engines, appeared at most 1.44 times as slow
# while little else ran. While other programs held both cores, three of four settings with two
# threads appeared more than twice as slow in one look of twenty, and up to 4.5 times: then the best
# candidate may be retired here.
_HOPELESS = 1.6
_FAR_BEHIND = 2.5
_FIRST_SAMPLES = 1
_FIRST_BURSTS = 3
# How much more than n times as fast n threads may be: they have more cache as well. An allowance,
# not a measurement.
_SUPERLINEAR = 1.25
# Final: farther apart than what noise of the machine makes of equal ones. After the fewest rounds
# a candidate set against itself, 12 times with each of those seven settings while little else ran,
# appeared 1.02 times as slow in the median at most; in the worst case 1.45 times with one setting,
# and 1.17 times with the others.
_BEHIND = 1.15
_FINALISTS = 3  # and one that is looked at: so many are in memory together
_FEWEST_ROUNDS = 5
_MOST_ROUNDS = 25


class _Known(Struct, eq=False):
    """A candidate that is not loaded, and the best milliseconds known of it.

    Of one that was passed over, those with fewer threads are known.
    """

    reachable: Reachable
    best_ms: float


def find_fastest(prober: Prober, candidates: Sequence[Reachable], *, seconds: float) -> Trial:
    """The winner, loaded; the others are closed and their outcomes kept.

    Only a few candidates are ever in memory together: a first look at each, in turns with the best
    one so far, keeps the most promising. These are then measured in turns, so that all see the same
    machine. If they fail, the others are loaded again, the quickest first.

    Args:
        prober: loads and times.
        candidates: all that may win.
        seconds: how long the final may take, if that allows a few rounds.

    Raises:
        NoUsableBackend: no candidate is left.
    """
    finalists: list[Trial] = []
    looked_at: list[Trial] = []
    reserve: list[_Known] = []
    lost = False
    for reachable in candidates:
        if rival := _unbeatable(reachable.candidate, looked_at):
            prober.pass_over(reachable, _why_not(reachable.candidate, rival))
            reserve.append(_Known(reachable, rival.best_ms))
            continue
        # One sample now, all of them once it is worth their time.
        trial = prober.prove(reachable, _FIRST_SAMPLES)
        if trial is None:
            continue
        before = len(finalists)
        runs = _look(prober, trial, finalists)
        lost |= len(finalists) < before
        if not runs:
            continue
        looked_at.append(trial)
        if trial.behind > _HOPELESS:
            _retire(prober, [trial], reserve)
        elif prober.prove_again(trial):
            finalists.append(trial)
            finalists.sort(key=lambda t: t.best_ms)
            limit = finalists[0].best_ms * _HOPELESS
            keep = [t for t in finalists[:_FINALISTS] if t.best_ms <= limit]
            _retire(prober, [t for t in finalists if t not in keep], reserve)
            finalists = keep
    if lost:  # then some were retired because of one that is no longer there
        finalists += _reload(prober, reserve, finalists)
    while not (survivors := _final(prober, finalists, reserve, seconds)):
        finalists = _reload(prober, reserve, [])
        if not finalists:
            raise NoUsableBackend(prober.nothing_left())
    return prober.rank(survivors)


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


def _final(
    prober: Prober, finalists: list[Trial], reserve: list[_Known], seconds: float
) -> list[Trial]:
    """Those of `finalists` that were never far behind, measured in turns; none if all fail."""
    for trial in finalists:
        trial.bursts.clear()
    end = perf_counter() + seconds
    for count in range(1, _MOST_ROUNDS + 1):
        # Back and forth, so that none always follows the same other one.
        finalists = [trial for trial in reversed(finalists) if prober.measure(trial)]
        if count >= _FEWEST_ROUNDS:
            limit = min((t.timing.median_ms for t in finalists), default=0.0) * _BEHIND
            _retire(prober, [t for t in finalists if t.timing.median_ms > limit], reserve)
            finalists = [t for t in finalists if t.timing.median_ms <= limit]
        if len(finalists) < 2 or (count >= _FEWEST_ROUNDS and perf_counter() > end):
            break
    return finalists


def _retire(prober: Prober, trials: list[Trial], reserve: list[_Known]) -> None:
    prober.retire(trials)
    reserve += [_Known(trial.reachable, trial.best_ms) for trial in trials]


def _reload(prober: Prober, reserve: list[_Known], finalists: list[Trial]) -> list[Trial]:
    """The quickest of `reserve` that may beat `finalists`, to make their number full."""
    reserve.sort(key=lambda known: known.best_ms)
    limit = min((t.best_ms for t in finalists), default=math.inf) * _HOPELESS
    loaded: list[Trial] = []
    while reserve and reserve[0].best_ms <= limit and len(finalists + loaded) < _FINALISTS:
        known = reserve.pop(0)
        prober.reconsider(known.reachable.candidate)
        if trial := prober.prove(known.reachable):
            loaded.append(trial)
    return loaded


def _unbeatable(candidate: Candidate, looked_at: Sequence[Trial]) -> Trial | None:
    """What shows that more threads cannot make `candidate` the fastest; None if they might."""
    threads, settings = _split(candidate)
    for trial in looked_at:
        fewer, known = _split(trial.reachable.candidate)
        # NOTE: not `==`: how several threads wait for each other is no setting of a single one.
        comparable = 0 < fewer < threads and known <= settings
        if comparable and trial.behind * fewer / threads > _SUPERLINEAR:
            return trial
    return None


def _why_not(candidate: Candidate, rival: Trial) -> str:
    threads, fewer = _split(candidate)[0], _split(rival.reachable.candidate)[0]
    return (
        f"threads={fewer} took {rival.behind:.1f} times as long as the best; "
        f"{threads} cannot make up for that"
    )


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
