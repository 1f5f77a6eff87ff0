"""A candidate loaded where it answers, after it has shown elsewhere that it works."""

from contextlib import closing

from edgeprep.bundle import Bundle
from edgeprep.errors import BackendUnavailable
from edgeprep.interfaces import Runner, Task
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import Candidate, Reachable, Rules, list_candidates
from edgeprep.runtime.golden import allowed_error, golden_error, wrong_numbers
from edgeprep.runtime.isolation import Engines, Isolation
from edgeprep.runtime.widths import load_wide

__all__ = ["load_candidate"]


def load_candidate(
    candidate: Candidate, bundle: Bundle, *, task: Task, registry: Registry, isolation: Isolation
) -> Runner:
    """`candidate`, loaded.

    Args:
        candidate: of `bundle`.
        bundle: holds its model and golden samples.
        task: the bundle's, which says what is compared with golden outputs.
        registry: where its backend is looked up.
        isolation: says where it answers, and whether it is tried in a worker before.

    Raises:
        BackendUnavailable: it is no candidate of this machine, or not any more.
        BackendWrongOutput: it computes wrong numbers where it is tried.
        BackendError: the engine refuses it. It may raise anything else, too.
    """
    # NOTE: the engine of a candidate has started at `open`, so that to fail once says little of it:
    # who opens the next bundle finds out.
    if isolation.must_try(candidate):
        with isolation.engines(keep=False) as engines:
            _try(_reach(candidate, bundle, registry, engines), bundle, task)
    with isolation.engines(probe=False, keep=False) as engines, isolation.attempt(candidate):
        return _load(_reach(candidate, bundle, registry, engines), bundle)


def _try(reachable: Reachable, bundle: Bundle, task: Task) -> None:
    """Load it, and hold it to all golden samples."""
    variant, options = reachable.variant, reachable.candidate.options
    with closing(_load(reachable, bundle)) as runner:
        error = golden_error(runner, bundle.golden(variant), task)
    allowed = allowed_error(variant, options, reachable.device.kind)
    if not error <= allowed:
        raise wrong_numbers(error, allowed)


def _reach(candidate: Candidate, bundle: Bundle, registry: Registry, engines: Engines) -> Reachable:
    variants = [bundle.variant(candidate.variant)]
    rules = Rules(only=candidate)
    found, left_out = list_candidates(variants, registry, rules, engines.construct)
    if not found:
        reasons = "; ".join(each.reason for each in left_out) or "it is not there"
        raise BackendUnavailable(f"{candidate}: must be there to be loaded, got {reasons!r}")
    return found[0]


def _load(reachable: Reachable, bundle: Bundle) -> Runner:
    model, options = bundle.model(reachable.variant), reachable.candidate.options
    return load_wide(reachable.backend, model, reachable.device, options)
