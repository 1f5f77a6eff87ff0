"""How good the choice is: against every other candidate, and against what one gets by default."""

import os
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import numpy as np

import edgeprep
from benchmarks.bundles import bundle
from benchmarks.engines import default_onnxruntime
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle
from edgeprep.runtime import Candidate
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["measure"]

MODELS = ("digits-mobilenet", "mobilenet-v2", "resnet-50")
LIMIT_REGRET, LIMIT_SPEEDUP = 0.05, 2.0
OPENS = 5
ROUNDS = {"digits-mobilenet": 60, "mobilenet-v2": 40, "resnet-50": 20}
DUEL_ROUNDS = 30
# By default, ONNX Runtime's threads spin on after a call, on cores that the session would use.
SETTLE_S = 0.03


def measure() -> Report:
    """Several first opens of each model, an exhaustive benchmark, and a duel with the default."""
    figures: list[Figure] = []
    notes: list[str] = []
    details: dict[str, Any] = {}
    for model in MODELS:
        path = str(bundle(model))
        choices, seconds = zip(*[first_open(path) for _ in range(OPENS)], strict=True)
        times = exhaustive(path, ROUNDS[model])
        best = min(times, key=lambda name: times[name])
        regrets = [times[str(choice)] / times[best] - 1 for choice in choices]
        worst = max(regrets)
        figures.append(Figure(name=f"{model}: worst regret", value=worst, limit=LIMIT_REGRET))
        found = ", ".join(f"{regret:.3f}" for regret in regrets)
        notes.append(f"{model}: regrets of {OPENS} first opens {found}; best: {best}")
        notes.append(f"{model}: first open {median(seconds):.1f} s, at most {max(seconds):.1f} s")
        details[model] = {
            "choices": [str(choice) for choice in choices],
            "regrets": regrets,
            "open_s": seconds,
            "median_ms": times,
        }
        if model != MODELS[0]:
            default_ms, ours_ms = duel(path)
            ratio = default_ms / ours_ms
            name = f"{model}: times as fast as ONNX Runtime, float32, by default"
            figures.append(Figure(name=name, value=ratio, limit=LIMIT_SPEEDUP, rule="at least"))
            notes.append(f"{model}: {default_ms:.2f} ms by default, {ours_ms:.2f} ms")
            details[model] |= {"default_ms": default_ms, "ours_ms": ours_ms}
    return Report(title="choice", figures=tuple(figures), notes=tuple(notes), details=details)


def first_open(path: str) -> tuple[Candidate, float]:
    """What `open` chooses where nothing is remembered, and how many seconds it takes."""
    with TemporaryDirectory() as cache:
        os.environ["EDGEPREP_CACHE"] = cache
        start = perf_counter()
        with edgeprep.open(path) as session:
            return session.choice, perf_counter() - start


def exhaustive(path: str, rounds: int) -> dict[str, float]:
    """The median milliseconds of every candidate that computes rightly, all in turns."""
    _, outcomes = measure_all(path, rounds=rounds)
    return {str(found.candidate): found.timing.median_ms for found in outcomes if found.timing}


def duel(path: str) -> tuple[float, float]:
    """Median milliseconds of the float32 model as users load it by default, and of a session."""
    opened = open_bundle(path)
    variant = opened.variant("onnx-fp32")
    picture = np.array(opened.golden(variant).input[0])
    default = default_onnxruntime(opened.model(variant).files)
    bursts: tuple[list[list[float]], list[list[float]]] = ([], [])
    with TemporaryDirectory() as cache:
        os.environ["EDGEPREP_CACHE"] = cache
        with edgeprep.open(path) as session:
            calls = (lambda: default(picture[None]), lambda: session(picture))
            for _ in range(DUEL_ROUNDS):
                for call, found in zip(calls, bursts, strict=True):
                    sleep(SETTLE_S)
                    found.append(measure_burst(call))
    return summarize(bursts[0]).median_ms, summarize(bursts[1]).median_ms
