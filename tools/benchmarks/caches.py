"""What it saves at later opens that an engine's compiled form was kept."""

import json
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report

__all__ = ["measure"]

MODELS = ("digits-mobilenet", "mobilenet-v2")
TURNS = 3
# OpenVINO must load what it compiled before in less than the time that compiling takes.
LIMIT = 0.9

OPEN = """
import json, sys, time
import edgeprep

found = []
for _ in range(6):
    start = time.perf_counter()
    session = edgeprep.open(sys.argv[1], prefer=sys.argv[2], seconds=0.1, isolate=False)
    found.append((time.perf_counter() - start) * 1e3)
    events = [event.message for event in session.events.kept if event.kind == "cache"]
    session.close()
print(json.dumps([found, str(session.choice), events]))
"""


def measure() -> Report:
    """For each model, later opens with the compiled form and without it, in turns."""
    figures, notes, details = [], [], {}
    for model in MODELS:
        with TemporaryDirectory() as cache:
            opened(model, cache, kept=True)  # chooses, compiles and keeps
            turns = [
                (opened(model, cache, kept=True), opened(model, cache, kept=False))
                for _ in range(TURNS)
            ]
        # The first in a process loads the engine, too.
        first, first_without, with_it, without = (
            median(time for turn in turns for time in turn[side][0][part])
            for part in (slice(1), slice(1, None))
            for side in (0, 1)
        )
        choice = turns[0][0][1]
        figures.append(
            Figure(
                name=f"{model}: with the compiled form over without",
                value=with_it / without,
                limit=LIMIT,
            )
        )
        notes.append(
            f"{choice}: {with_it:.1f} ms with, {without:.1f} ms without; the first in a process "
            f"{first:.1f} and {first_without:.1f} ms"
        )
        details[model] = {
            "choice": choice,
            "with_ms": with_it,
            "without_ms": without,
            "first_with_ms": first,
            "first_without_ms": first_without,
        }
    return Report(
        title="caches: opening again, OpenVINO",
        figures=tuple(figures),
        notes=tuple(notes),
        details=details,
    )


def opened(model: str, cache: str, *, kept: bool) -> tuple[list[float], str]:
    """The milliseconds of some opens in a process of its own, and what was chosen."""
    variables = os.environ | {
        "EDGEPREP_CACHE": cache,
        "EDGEPREP_COMPILE_CACHE": str(int(kept)),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", OPEN, str(bundle(model)), "openvino"]
    printed = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    milliseconds, choice, events = json.loads(printed.stdout)
    if events:
        raise RuntimeError(f"{model}: the cache must be used, got {events!r}")
    return milliseconds, choice
