"""What it adds to each call that the engine is in a worker."""

import os
from statistics import median
from tempfile import TemporaryDirectory

import edgeprep
from benchmarks.bundles import bundle
from benchmarks.engines import BARE
from benchmarks.figures import Figure, Report
from benchmarks.overhead import in_turns
from edgeprep.bundle import open_bundle

__all__ = ["measure"]

MODEL = "digits-mobilenet"
LIMIT_US = 300.0


def measure() -> Report:
    """For each engine, the session in its worker and the one in this process, in turns."""
    figures, details = [], {}
    opened = open_bundle(bundle(MODEL))
    for name in BARE:
        with TemporaryDirectory() as cache:
            os.environ["EDGEPREP_CACHE"] = cache
            here, there = (
                edgeprep.open(opened.path, prefer=name, probe=False, isolate=isolate)
                for isolate in (False, True)
            )
        picture = opened.golden(opened.variant(here.choice.variant)).input[0].copy()
        alone, isolated = in_turns(lambda: here(picture), lambda: there(picture))  # noqa: B023
        added = median(b - a for a, b in zip(alone, isolated, strict=True))
        figures.append(Figure(name=name, value=added, limit=LIMIT_US, unit="µs"))
        details[name] = {
            "candidate": str(there.choice),
            "here_us": median(alone),
            "worker_us": median(isolated),
            "added_us": added,
        }
        here.close()
        there.close()
    return Report(
        title="isolation: a call to an engine in a worker over one in this process",
        figures=tuple(figures),
        notes=tuple(
            f"{found['candidate']}: {found['here_us']:.1f} µs here, "
            f"{found['worker_us']:.1f} µs in a worker"
            for found in details.values()
        ),
        details=details,
    )
