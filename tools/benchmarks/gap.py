"""How long the call takes in which the process of the engine is found dead: another one answers."""

import os
import signal
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Timer
from time import perf_counter, sleep

import numpy as np
from numpy.typing import NDArray

import edgeprep
from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.runtime import Session

__all__ = ["measure"]

MODEL = "digits-mobilenet"
LIMIT_S = 1.0
ROUNDS = 5
# What is kept loaded in reserve is there by then.
WARM_UP_S = 3.0
# How long after the first call of a row the worker is killed: in the midst of one.
IN_MIDST_S = 0.05


def measure() -> Report:
    """For each engine, a kill between two calls and one in the midst of calls."""
    figures, details = [], {}
    path = bundle(MODEL)
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    for engine in ("onnxruntime", "openvino", "litert"):
        gaps = []
        for number in range(ROUNDS):
            with TemporaryDirectory() as cache:
                os.environ["EDGEPREP_CACHE"] = cache
                session = edgeprep.open(path, prefer=engine, probe=False, isolate=True)
            with session:
                (answering,) = workers()
                session(picture)
                sleep(WARM_UP_S)
                gaps.append(longest_call(session, picture, answering, in_midst=bool(number % 2)))
                if "fallback" not in session.events.counts:
                    sys.exit(f"{engine}: the death of its worker must be told, got no event")
        figures.append(Figure(name=engine, value=max(gaps), limit=LIMIT_S, unit="s"))
        details[engine] = {"gaps_s": gaps}
    return Report(
        title="gap: the longest call around the death of the worker that answers",
        figures=tuple(figures),
        notes=tuple(
            f"{name}: median {median(found['gaps_s']):.2f} s" for name, found in details.items()
        ),
        details=details,
    )


def longest_call(
    session: Session, picture: NDArray[np.uint8], worker: int, *, in_midst: bool
) -> float:
    """Seconds of the longest of the calls during which `worker` is killed."""
    kill = Timer(IN_MIDST_S if in_midst else 0.0, os.kill, (worker, signal.SIGKILL))
    kill.start()
    if not in_midst:
        kill.join()
    longest, end = 0.0, perf_counter() + 4 * IN_MIDST_S
    while perf_counter() < end:
        began = perf_counter()
        session(picture)
        longest = max(longest, perf_counter() - began)
    kill.join()
    return longest


def workers() -> list[int]:
    """The processes that this one has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(word) for word in children.read_text(encoding="ascii").split()]
