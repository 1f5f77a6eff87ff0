"""Everything measured: for people who want to see the whole table, and to check the choice."""

from collections.abc import Sequence
from contextlib import closing
from os import PathLike

from edgeprep.bundle import EnsembleBundle
from edgeprep.errors import InputError, NoUsableBackend
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.busiest import with_batches, with_calls
from edgeprep.runtime.candidates import Outcome, Reachable, list_candidates
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.ensemble_session import join_outcomes
from edgeprep.runtime.goals import Goal, check_goal
from edgeprep.runtime.isolation import Engines, Where, check_isolate
from edgeprep.runtime.opened import OpenedBundle, read_path
from edgeprep.runtime.opened_ensemble import OpenedEnsemble, wishes
from edgeprep.runtime.release import close

__all__ = ["measure_all"]


def measure_all(
    path: str | PathLike[str],
    *,
    prefer: str | None = None,
    goal: Goal = "latency",
    rounds: int = 15,
    isolate: bool | None = None,
    registry: Registry | None = None,
) -> tuple[str, tuple[Outcome, ...]]:
    """The bundle's name and the outcome of every candidate, the fastest first.

    All candidates are loaded together and take turns. Nothing is remembered. Of an ensemble, those
    of each member, one member after another; their variants have its name in front.

    Args:
        path: a `.edgeprep` file.
        prefer: as in `edgeprep.open`.
        goal: as in `edgeprep.open`. For throughput, the best few are measured with several pictures
            a call besides; for memory, each candidate is in a process of its own, and `rounds` does
            not matter.
        rounds: how often each candidate has its turn; at least once.
        isolate: False measures in this process; else candidates are in processes of their own.
        registry: where plugins are looked up; None: the installed ones.

    Raises:
        BundleError: the file is not a whole, unchanged bundle.
        InputError: `rounds` is below 1, or `goal` is none.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here.
    """
    if rounds < 1:
        raise InputError(f"rounds: must be at least 1, got {rounds!r}")
    goal = check_goal(goal)
    where = check_isolate(isolate)
    registry = registry or default_registry()
    bundle = read_path(path)
    if isinstance(bundle, EnsembleBundle):
        return bundle.manifest.name, _of_members(bundle, registry, where, prefer, goal, rounds)
    opened = OpenedBundle(bundle, registry)
    opened.goal = goal
    opened.isolate(where)
    return bundle.manifest.name, _measure(opened, prefer, rounds)


def _of_members(
    bundle: EnsembleBundle,
    registry: Registry,
    where: Where,
    prefer: str | None,
    goal: Goal,
    rounds: int,
) -> tuple[Outcome, ...]:
    opened = OpenedEnsemble(bundle, registry)
    opened.aim(goal)
    opened.isolate(where, None)
    pairs = zip(opened.members, wishes(opened.members, prefer), strict=True)
    outcomes = [_measure(member, wish, rounds) for member, wish in pairs]
    names = [member.bundle.manifest.name for member in opened.members]
    return join_outcomes(opened.combiner, names, outcomes)


def _measure(opened: OpenedBundle, prefer: str | None, rounds: int) -> tuple[Outcome, ...]:
    with closing(opened.chain), opened.isolation.engines() as engines:
        return _measure_by(engines, opened, prefer, rounds)


def _measure_by(
    engines: Engines, opened: OpenedBundle, prefer: str | None, rounds: int
) -> tuple[Outcome, ...]:
    rules = opened.rules(prefer)
    engines.start(opened.backends)
    reachable, left_out = list_candidates(
        opened.variants, opened.registry, rules, engines.construct
    )
    with opened.prober(left_out) as prober:
        opened.start_hosts(prefer=prefer)
        if opened.goal == "memory":
            close(opened.find_best(prober, reachable, seconds=0.0).runner)
        else:
            close(prober.rank(_all(prober, reachable, opened.goal, rounds)).runner)
    # Devices that are not here are no candidates; `explain` and `doctor` tell of them.
    return tuple(each for each in opened.outcomes(prober) if each.candidate.variant)


def _all(
    prober: Prober, reachable: Sequence[Reachable], goal: Goal, rounds: int
) -> Sequence[Trial]:
    """All that compute the right numbers, measured."""
    candidates = list(reachable if goal == "latency" else with_calls(reachable))
    trials = prober.all(candidates, rounds=rounds)
    if not trials:
        raise NoUsableBackend(prober.nothing_left())
    if goal == "latency":
        return trials
    measured = {str(trial.reachable.candidate): trial.timing for trial in trials}
    return [*trials, *prober.all(with_batches(prober, candidates, measured), rounds=rounds)]
