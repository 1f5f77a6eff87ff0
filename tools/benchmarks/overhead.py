"""What a session adds to each call of its engine."""

import os
from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import edgeprep
from benchmarks.bundles import bundle
from benchmarks.engines import BARE
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle

__all__ = ["measure"]

# All of its preprocessing is in the graph, so that the host has none.
MODEL = "tiny"
LIMIT_US = 30.0
WARM_UP, PAIRS = 200, 4000


def measure() -> Report:
    """For each engine, the session and the bare engine in turns, call by call."""
    figures, details = [], {}
    opened = open_bundle(bundle(MODEL))
    for name, load in BARE.items():
        with TemporaryDirectory() as cache:
            os.environ["EDGEPREP_CACHE"] = cache
            session = edgeprep.open(opened.path, prefer=name, probe=False)
        variant = opened.variant(session.choice.variant)
        picture = opened.golden(variant).input[0].copy()
        threads = int(session.choice.options["threads"])
        call, tensor = load(opened.model(variant).files, threads), picture[None]
        bare, ours = in_turns(lambda: call(tensor), lambda: session(picture).label)  # noqa: B023
        added = median(b - a for a, b in zip(bare, ours, strict=True))
        figures.append(Figure(name=name, value=added, limit=LIMIT_US, unit="µs"))
        details[name] = {
            "candidate": str(session.choice),
            "bare_us": median(bare),
            "session_us": median(ours),
            "added_us": added,
        }
        session.close()
    return Report(
        title="overhead: session(picture).label over the bare engine with a ready tensor",
        figures=tuple(figures),
        notes=tuple(
            f"{found['candidate']}: {found['bare_us']:.1f} µs bare, {found['session_us']:.1f} µs"
            for found in details.values()
        ),
        details=details,
    )


def in_turns(
    one: Callable[[], object], other: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Microseconds of every call of two functions that take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(WARM_UP):
        one()
        other()
    for _ in range(PAIRS):
        for call, taken in zip((one, other), times, strict=True):
            start = perf_counter_ns()
            call()
            taken.append((perf_counter_ns() - start) / 1e3)
    return times
