"""Everything measured: for people who want to see the whole table, and to check the choice."""

from contextlib import closing
from os import PathLike

from edgeprep.errors import InputError, NoUsableBackend
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.candidates import Outcome, list_candidates
from edgeprep.runtime.choose import close
from edgeprep.runtime.opened import OpenedBundle

__all__ = ["measure_all"]


def measure_all(
    path: str | PathLike[str],
    *,
    prefer: str | None = None,
    rounds: int = 15,
    registry: Registry | None = None,
) -> tuple[str, tuple[Outcome, ...]]:
    """The bundle's name and the outcome of every candidate, the fastest first.

    All candidates are loaded together and take turns. Nothing is remembered.

    Args:
        path: a `.edgeprep` file.
        prefer: as in `edgeprep.open`.
        rounds: how often each candidate has its turn; at least once.
        registry: where plugins are looked up; None: the installed ones.

    Raises:
        BundleError: the file is not a whole, unchanged bundle.
        InputError: `rounds` is below 1.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here.
    """
    if rounds < 1:
        raise InputError(f"rounds: must be at least 1, got {rounds!r}")
    opened = OpenedBundle.read(path, registry or default_registry())
    manifest = opened.bundle.manifest
    reachable, left_out = list_candidates(manifest.variants, opened.registry, opened.rules(prefer))
    with closing(opened.chain), opened.prober(left_out) as prober:
        opened.start_hosts(prefer=prefer)
        trials = prober.all(reachable, rounds=rounds)
        if not trials:
            raise NoUsableBackend(prober.nothing_left())
        close(prober.rank(trials).runner)
    return manifest.name, tuple(opened.outcomes(prober))
