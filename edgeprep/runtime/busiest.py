"""The search for the candidate that computes the most pictures a second."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from msgspec.structs import replace

from edgeprep.processor import available_cpus
from edgeprep.runtime.candidates import Reachable
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.fastest import find_fastest
from edgeprep.runtime.timing import Timing

__all__ = ["find_busiest", "with_batches", "with_calls"]

# NOTE: these are set by judgement, and `tools/bench_field throughput` shows what comes of them.
# More calls at once than this do not keep an accelerator any busier: one computes, one is brought.
_CALLS_ELSEWHERE = 2
# Pictures a call. What a CPU saves by several, it has saved by a few; accelerators have more to
# fill. Each size is loaded beside the size of one picture.
_BATCHES_ON_CPU = (4, 16)
_BATCHES_ELSEWHERE = (8, 32)
# Of so many, if they are so close, batches are tried, too.
_NEAR = 1.6
_MOST_NEAR = 3


def find_busiest(prober: Prober, candidates: Sequence[Reachable], *, seconds: float) -> Trial:
    """The winner, loaded; the others are closed and their outcomes kept.

    First without batches, as many calls at once as the device has room for; then the best few of
    them with batches, against the best one without.

    Args:
        prober: loads and times, calls that keep the engine busy.
        candidates: all that may win, each as for one call at a time.
        seconds: how long the two finals may take together, if that allows a few rounds.

    Raises:
        NoUsableBackend: no candidate is left.
    """
    wide = list(with_calls(candidates))
    winner = find_fastest(prober, wide, seconds=seconds / 2)
    measured = {str(each.candidate): each.timing for each in prober.outcomes if each.timing}
    batched = with_batches(prober, wide, measured)
    if not batched:
        return winner
    prober.release(winner)
    return find_fastest(prober, [winner.reachable, *batched], seconds=seconds / 2)


def with_calls(candidates: Sequence[Reachable]) -> Iterator[Reachable]:
    """Each of `candidates` with as many calls at once as its device has room for."""
    for one in candidates:
        for calls in _calls(one):
            yield one if calls == 1 else _with(one, "calls", calls)


def with_batches(
    prober: Prober, candidates: Sequence[Reachable], measured: Mapping[str, Timing]
) -> list[Reachable]:
    """The best few of `candidates`, for several pictures a call.

    Args:
        prober: those that take one picture a call are among its outcomes, with the reason.
        candidates: without batches.
        measured: what was measured of them, by what they are called.
    """
    batched: list[Reachable] = []
    for one in _near(measured, candidates):
        sizes = _BATCHES_ON_CPU if one.device.kind == "cpu" else _BATCHES_ELSEWHERE
        if reason := _one_a_call(one):
            prober.exclude(_with(one, "batch", sizes[0]), reason)
        else:
            batched += [_with(one, "batch", size) for size in sizes]
    return batched


def _near(measured: Mapping[str, Timing], candidates: Sequence[Reachable]) -> list[Reachable]:
    times = {name: timing.median_ms for name, timing in measured.items()}
    limit = min(times.values(), default=0.0) * _NEAR
    near = [one for one in candidates if times.get(str(one.candidate), inf) <= limit]
    near.sort(key=lambda one: times[str(one.candidate)])
    return near[:_MOST_NEAR]


def _calls(one: Reachable) -> tuple[int, ...]:
    if one.device.kind != "cpu":
        return 1, _CALLS_ELSEWHERE
    threads = one.candidate.options.get("threads")
    if isinstance(threads, int):
        return (max(1, available_cpus() // max(threads, 1)),)
    return tuple({1, available_cpus()})


def _one_a_call(one: Reachable) -> str | None:
    if one.variant.states:
        return "the network remembers earlier pictures"
    if one.variant.input.shape[0] > 1:
        return "a call takes several pictures as it is"
    if "batch" not in one.backend.widths:
        return f"backend {one.backend.name!r} takes one picture a call"
    return None


def _with(one: Reachable, name: str, value: int) -> Reachable:
    options = {**one.candidate.options, name: value}
    return replace(one, candidate=replace(one.candidate, options=options))
