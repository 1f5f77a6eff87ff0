"""Open a bundle: verify, prove, choose, and hold the winner."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from hashlib import sha256
from os import PathLike
from typing import Any

from edgeprep.bundle import EnsembleBundle, one_network
from edgeprep.collector import paused_collector
from edgeprep.errors import InputError, PluginError
from edgeprep.monitor import Event
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.candidates import Candidate, Outcome, Rules, list_candidates
from edgeprep.runtime.choices import ChoiceCache
from edgeprep.runtime.kept import KeptFile
from edgeprep.runtime.machine import fingerprint
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.opened import OpenedBundle, read_path
from edgeprep.runtime.recheck import Recheck, check_recheck
from edgeprep.runtime.session import Session
from edgeprep.runtime.timing import Timing
from edgeprep.version import __version__

__all__ = ["choose", "open", "recall"]

_RECHECK = Recheck()
# One sample proves a remembered choice again; all of them proved it when it was measured.
_SAMPLES_AGAIN = 1


def open(  # noqa: A001 -- `edgeprep.open` is the public name
    path: str | PathLike[str],
    *,
    prefer: str | None = None,
    strict: bool = False,
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
        probe: False takes the first candidate that is right, smallest variant first, unmeasured.
        recheck: how often what answers has to reproduce golden samples again; None: never.
        plugins: load no plugins but these.
        seconds: how long the best few candidates are measured against each other.
        registry: where plugins are looked up; None: the installed ones.
        on_event: called with each event, in the thread in which it happens; it may use the session.

    Raises:
        InputError: `recheck` or `on_event` is not what it should be.
        StorageError: the file cannot be read.
        BundleError: it is not a whole, unchanged bundle; `IncompatibleBundle` where a stage or the
            task is not installed here.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here; the message names each with its reason.
        PluginError: `plugins` is no list of names, or is given beside `registry`.
    """
    if registry is not None and plugins is not None:
        raise PluginError("plugins: must not be given beside a registry, got both")
    if registry is None:
        registry = default_registry() if plugins is None else Registry(allow=plugins)
    recheck = check_recheck(recheck)
    if on_event is not None and not callable(on_event):
        raise InputError(f"on_event: must be called with an event, got {on_event!r}")
    with paused_collector():
        bundle = read_path(path)
        kept = KeptFile(bundle)
        if isinstance(bundle, EnsembleBundle):
            from edgeprep.runtime.opened_ensemble import (
                OpenedEnsemble,
            )  # here, as few are ensembles

            ensemble = OpenedEnsemble(bundle, registry, kept)
            ensemble.attend(strict=strict, recheck=recheck, on_event=on_event)
            return ensemble.open(prefer=prefer, probe=probe, seconds=seconds)
        opened = OpenedBundle(bundle, registry, read_again=lambda: one_network(kept.read()))
        opened.strict, opened.recheck = strict, recheck
        if on_event is not None:
            opened.events.listen(on_event)
        remembered = recall(opened, prefer=prefer, seconds=seconds) if probe else None
    return remembered or choose(opened, prefer=prefer, probe=probe, seconds=seconds)


def choose(
    opened: OpenedBundle, *, prefer: str | None, probe: bool, seconds: float
) -> NetworkSession:
    """A session on the best candidate of this machine; see `open`."""
    rules = opened.rules(prefer)
    variants = sorted(opened.variants, key=lambda variant: variant.size_bytes)
    reachable, left_out = list_candidates(variants, opened.registry, rules)
    with _closed_at_fault(opened), opened.prober(left_out) as prober:
        if not probe:
            trial = prober.first(reachable)
            return opened.session(trial, prober.outcomes, prefer=prefer, probe=False)
        from edgeprep.runtime.fastest import find_fastest  # here, as a remembered choice needs none

        opened.start_hosts(prefer=prefer, seconds=seconds)
        trial = find_fastest(prober, reachable, seconds=seconds)
        outcomes = opened.outcomes(prober)
        ChoiceCache(key=_key(opened, prefer)).store([each.to_json() for each in outcomes])
        return opened.session(trial, outcomes, prefer=prefer, seconds=seconds)


def recall(opened: OpenedBundle, *, prefer: str | None, seconds: float) -> NetworkSession | None:
    """A session on the choice of an earlier `choose`, if there is one and it is still right."""
    records = ChoiceCache(key=_key(opened, prefer)).load()
    if records is None:
        return None
    outcomes = [_outcome(record) for record in records]
    wanted, host = outcomes[0].candidate, outcomes[0].host
    with _closed_at_fault(opened), opened.prober() as prober:
        if not opened.recall_host(wanted.variant, host, prefer=prefer, seconds=seconds):
            return None
        reachable, _ = list_candidates(opened.variants, opened.registry, Rules(only=wanted))
        trial = prober.prove(reachable[0], _SAMPLES_AGAIN) if reachable else None
        if trial is None:
            return None
        return opened.session(trial, outcomes, remembered=True, prefer=prefer, seconds=seconds)


@contextmanager
def _closed_at_fault(opened: OpenedBundle) -> Iterator[None]:
    """Lets go of what the stages of `opened` have started if the block fails."""
    try:
        yield
    except BaseException:
        opened.chain.close()
        raise


def _key(opened: OpenedBundle, prefer: str | None) -> str:
    libraries = ("cv2",) if opened.open_hosts else ()
    machine = fingerprint(opened.registry.classes("backend"), libraries)
    variants = " ".join(variant.name for variant in opened.variants)
    facts = (__version__, opened.bundle.digest, machine, repr(prefer), variants)
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
        error=record["error"],
        host=record["host"],
    )
