"""Open a bundle: verify, prove, choose, and hold the winner."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from os import PathLike
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from edgeprep.bundle import EnsembleBundle
from edgeprep.collector import paused_collector
from edgeprep.errors import NoUsableBackend, PluginError
from edgeprep.monitor import Event
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.arguments import check_arguments
from edgeprep.runtime.candidates import (
    Candidate,
    Outcome,
    Reachable,
    Rules,
    list_candidates,
    narrowed,
)
from edgeprep.runtime.choices import ChoiceCache
from edgeprep.runtime.goals import Goal, check_goal
from edgeprep.runtime.isolation import Engines, check_isolate
from edgeprep.runtime.kept import KeptFile
from edgeprep.runtime.machine import fingerprint
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.opened import OpenedBundle, read_path
from edgeprep.runtime.recheck import Recheck, check_recheck
from edgeprep.runtime.session import Session
from edgeprep.runtime.timing import Timing
from edgeprep.version import __version__

if TYPE_CHECKING:
    from edgeprep.workers import Limits

__all__ = ["open", "recall_or_choose"]

_RECHECK = Recheck()
# One sample proves a remembered choice again; all of them proved it when it was measured.
_SAMPLES_AGAIN = 1


def open(  # noqa: A001 -- `edgeprep.open` is the public name
    path: str | PathLike[str],
    *,
    prefer: str | None = None,
    strict: bool = False,
    goal: Goal = "latency",
    isolate: bool | None = None,
    limits: "Limits | None" = None,
    probe: bool = True,
    recheck: Recheck | None = _RECHECK,
    plugins: Collection[str] | None = None,
    seconds: float = 2.0,
    registry: Registry | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Session:
    """Open a bundle on the fastest path that computes the right numbers on this machine.

    Every byte is verified; candidates that do not reproduce the bundle's golden outputs are
    rejected; the others are measured, and the chosen one has reproduced them all. The choice is
    remembered for this bundle, machine and set of engines. Where the chosen one fails later, the
    next one answers, and that is an event; see `Session.health`.

    Args:
        path: a `.edgeprep` file.
        prefer: consider only candidates with this variant, format, precision, backend, device or
            kind of device, such as "cpu", "openvino" or "int8". Of an ensemble, members that have
            none such choose among all.
        strict: True lets nothing else answer than what was chosen: what goes wrong reaches the
            caller.
        goal: what the choice is for. "latency": the quickest answer for one picture at a time.
            "throughput": the most pictures a second where several calls overlap, with several calls
            at once and several pictures a call. "memory": the least memory of a process.
        isolate: where engines run. None: candidates are tried in processes of their own, and the
            one that is chosen is loaded in this one, at the first open and at later ones. True: it
            stays in its process, too. False: all is done in this process. EDGEPREP_ISOLATE, 0 or 1,
            says what None means instead.
        limits: what such a process may take, in time and memory; None: the usual.
        probe: False takes the first candidate that is right, smallest variant first, unmeasured.
        recheck: how often what answers has to reproduce golden samples again; None: never.
        plugins: load no plugins but these.
        seconds: how long the best few candidates are measured against each other.
        registry: where plugins are looked up; None: the installed ones.
        on_event: called with each event, in the thread in which it happens, which may be a call's
            that waits for it; it may use the session. What it raises is logged.

    Raises:
        InputError: `strict`, `goal`, `isolate`, `limits`, `probe`, `recheck`, `seconds` or
            `on_event` is not what it should be.
        StorageError: the file cannot be read.
        BundleError: it is not a whole, unchanged bundle; `IncompatibleBundle` where a stage or the
            task is not installed here.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here; the message names each with its reason.
        PluginError: `plugins` is no list of names, or is given beside `registry`, or that is none.
    """
    check_arguments(
        strict=strict, probe=probe, seconds=seconds, registry=registry, on_event=on_event
    )
    if registry is not None and plugins is not None:
        raise PluginError("plugins: must not be given beside a registry, got both")
    if registry is None:
        registry = default_registry() if plugins is None else Registry(allow=plugins)
    goal = check_goal(goal)
    where = check_isolate(isolate, limits)
    recheck = check_recheck(recheck)
    with paused_collector():
        bundle = read_path(path)
        if isinstance(bundle, EnsembleBundle):
            from edgeprep.runtime.opened_ensemble import (
                OpenedEnsemble,
            )  # here, as few are ensembles

            ensemble = OpenedEnsemble(bundle, registry, keep=True)
            ensemble.aim(goal)
            ensemble.attend(strict=strict, recheck=recheck, on_event=on_event)
            ensemble.isolate(where, limits)
        else:
            opened = OpenedBundle(bundle, registry, kept=KeptFile(bundle))
            opened.goal, opened.strict, opened.recheck = goal, strict, recheck
            opened.isolate(where, limits)
            if on_event is not None:
                opened.events.listen(on_event)
    if isinstance(bundle, EnsembleBundle):
        return ensemble.open(prefer=prefer, probe=probe, seconds=seconds)
    return recall_or_choose(opened, prefer=prefer, probe=probe, seconds=seconds)


def recall_or_choose(
    opened: OpenedBundle, *, prefer: str | None, probe: bool, seconds: float
) -> NetworkSession:
    """A session on the choice of an earlier open, or else on that of now; see `open`."""
    if probe:
        with paused_collector():
            remembered = recall(opened, prefer=prefer, seconds=seconds)
        if remembered is not None:
            return remembered
    return choose(opened, prefer=prefer, probe=probe, seconds=seconds)


def choose(
    opened: OpenedBundle, *, prefer: str | None, probe: bool, seconds: float
) -> NetworkSession:
    """A session on the best candidate of this machine; see `open`."""
    isolation = opened.isolation
    isolation.has_died()
    with _closed_at_fault(opened), isolation.engines(probe=probe) as engines:
        rules = opened.rules(prefer)
        engines.start(opened.backends)
        variants = sorted(opened.variants, key=lambda variant: variant.size_bytes)
        found, left_out = list_candidates(variants, opened.registry, rules, engines.construct)
        reachable, rejected = isolation.sift(found)
        search = partial(_search, opened, engines, prefer=prefer, probe=probe, seconds=seconds)
        try:
            return search(reachable, [*rejected, *left_out])
        except NoUsableBackend:
            if not engines.forgive() and not rejected:
                raise
        # What was rejected yesterday may work today, and there is nothing else.
        isolation.verdicts.forget()
        engines.start(opened.backends)
        found, left_out = list_candidates(variants, opened.registry, rules, engines.construct)
        return search(found, left_out)


def _search(
    opened: OpenedBundle,
    engines: Engines,
    reachable: Sequence[Reachable],
    left_out: Sequence[Outcome],
    *,
    prefer: str | None,
    probe: bool,
    seconds: float,
) -> NetworkSession:
    with opened.prober(left_out) as prober:
        if not probe:
            trial = prober.first(reachable, opened.isolation.attempt)
            prober.keep_compiled(trial)
            return opened.session(trial, prober.outcomes, prefer=prefer, probe=False)
        opened.start_hosts(prefer=prefer, seconds=seconds)
        trial = opened.find_best(prober, reachable, seconds=seconds)
        # Before it is loaded here, as to compile may take a minute.
        prober.keep_compiled(trial)
        while (settled := opened.isolation.settle(prober, trial, engines)) is None:
            failed = trial.reachable.candidate
            tried = (failed, narrowed(failed))
            reachable = [one for one in reachable if one.candidate not in tried]
            for one in reachable:
                prober.reconsider(one.candidate)
            trial = opened.find_best(prober, reachable, seconds=seconds)
        prober.keep_compiled(settled)
        outcomes = [_noted(each, engines.notes) for each in opened.outcomes(prober)]
        records = [each.to_json() for each in outcomes]
        _cache(opened, prefer).store(records, opened.isolation.verdicts_at())
        return opened.session(settled, outcomes, prefer=prefer, seconds=seconds)


def recall(opened: OpenedBundle, *, prefer: str | None, seconds: float) -> NetworkSession | None:
    """A session on the choice of an earlier `choose`, if there is one and it is still right.

    There is none, either, where a process has died while it loaded that, nor where a verdict
    that it was made with counts no longer: the candidate is tried again.
    """
    records = _cache(opened, prefer).load()
    isolation = opened.isolation
    if records is None or isolation.has_died():
        return None
    outcomes = [_outcome(record) for record in records]
    wanted, host = outcomes[0].candidate, outcomes[0].host
    if isolation.is_rejected(wanted):  # for what it did since, while it answered
        return None
    with (
        _closed_at_fault(opened),
        isolation.engines(probe=False) as engines,
        opened.prober() as prober,
    ):
        if not opened.recall_host(wanted.variant, host, prefer=prefer, seconds=seconds):
            return None
        with isolation.attempt(wanted):
            rules = Rules(only=wanted)
            reachable, _ = list_candidates(
                opened.variants, opened.registry, rules, engines.construct
            )
            trial = prober.prove(reachable[0], _SAMPLES_AGAIN) if reachable else None
        if trial is None:
            return None
        prober.keep_compiled(trial)
        return opened.session(trial, outcomes, remembered=True, prefer=prefer, seconds=seconds)


@contextmanager
def _closed_at_fault(opened: OpenedBundle) -> Iterator[None]:
    """Lets go of what the stages of `opened` have started if the block fails."""
    try:
        yield
    except BaseException:
        opened.chain.close()
        raise


def _noted(outcome: Outcome, notes: Mapping[str, str]) -> Outcome:
    note = notes.get(outcome.candidate.backend)
    if note is None:
        return outcome
    reason = "; ".join(filter(None, (outcome.reason, f"tried in this process, as {note}")))
    return replace(outcome, reason=reason)


def _cache(opened: OpenedBundle, prefer: str | None) -> ChoiceCache:
    return ChoiceCache(key=_key(opened, prefer), tell=opened.events.tell)


def _key(opened: OpenedBundle, prefer: str | None) -> str:
    libraries = ("cv2",) if opened.open_hosts else ()
    machine = fingerprint(opened.registry.classes("backend"), libraries)
    variants = " ".join(variant.name for variant in opened.variants)
    wishes = (repr(prefer), opened.goal, repr(opened.isolation.limits))
    facts = (__version__, opened.bundle.digest, machine, *wishes, variants)
    return sha256("\n".join(facts).encode()).hexdigest()


def _outcome(record: dict[str, Any]) -> Outcome:
    timing = None
    if record["median_ms"] is not None:
        timing = Timing(**{name: record[name] for name in ("median_ms", "p90_ms")})
    return Outcome(
        candidate=Candidate(
            variant=record["variant"],
            backend=record["backend"],
            device=record["device"],
            options=record["options"],
        ),
        verdict=record["verdict"],
        reason=record["reason"],
        timing=timing,
        per_second=record["per_second"],
        memory_bytes=record["memory_bytes"],
        error=record["error"],
        host=record["host"],
        kind=record["kind"],
    )
