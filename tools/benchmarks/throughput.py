"""Pictures a second: one runner, several calls at once and several pictures a call, in turns."""

import logging
import os
from collections.abc import Callable, Sequence
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeprep
from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle
from edgeprep.interfaces import Options, Runner
from edgeprep.processor import available_cpus
from edgeprep.registry import create, default_registry
from edgeprep.runtime.timing import summarize
from edgeprep.runtime.widths import load_wide

__all__ = ["gain", "measure"]

MODELS = ("digits-mobilenet", "digits-vit")
PRECISION = "int8"
BATCHES = (4, 16)
ROUNDS = 15
TURN_S = 0.15
CALLERS = 8
SINGLE, BUSY = f"latency, {CALLERS} threads", f"throughput, {CALLERS} threads"
AGAIN = f"{SINGLE}, again"
SINGLE_BATCH, BUSY_BATCH = "latency, session.batch", "throughput, session.batch"
# What was chosen for throughput gives as many pictures a second as the single runner at least,
# which was chosen for latency and is asked by as many threads. The tolerance is for noise of the
# machine, set by judgement: each report says by how much the single runner differs from itself.
LIMIT, TOLERANCE = 1.0, 0.03


def measure() -> Report:
    """Each engine by itself, then what sessions make of it."""
    figures: list[Figure] = []
    notes: list[str] = []
    details: dict[str, Any] = {}
    for model in MODELS:
        path = str(bundle(model))
        details[model] = {}
        for variant in [f"{name}-{PRECISION}" for name in ("onnx", "openvino", "tflite")]:
            rates, refused = engine(path, variant)
            details[model][variant] = rates
            notes += [f"{model} {variant}: {line}" for line in lines(rates)]
            notes += [f"{model} {variant}: {name}: {reason}" for name, reason in refused.items()]
        turns = sessions(path)
        chosen = {name: median(each) for name, each in turns.items()}
        details[model]["sessions"] = chosen
        notes += [f"{model}: {name}: {rate:.0f} a second" for name, rate in chosen.items()]
        single, again, busy = (turns[name] for name in (SINGLE, AGAIN, BUSY))
        figures.append(gain(f"{model}, {CALLERS} threads", busy, single))
        batches_turns = (turns[name] for name in (BUSY_BATCH, SINGLE_BATCH))
        figures.append(gain(f"{model}, session.batch", *batches_turns))
        notes.append(f"{model}: the single runner against itself: {ratio(again, single):.3f}")
    title = "throughput"
    return Report(title=title, figures=tuple(figures), notes=tuple(notes), details=details)


def gain(name: str, busy: Sequence[float], single: Sequence[float]) -> Figure:
    """How many times as many pictures a second, and what that is held to.

    Args:
        name: of the model that was opened, and who asks.
        busy: pictures a second for throughput, of each turn.
        single: of the single runner, in the same turns.
    """
    return Figure(
        name=f"{name}: for throughput, of the single runner ({LIMIT:g} - {TOLERANCE:g})",
        value=ratio(busy, single),
        limit=LIMIT - TOLERANCE,
        rule="at least",
    )


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over turns."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def engine(path: str, variant_name: str) -> tuple[dict[str, float], dict[str, str]]:
    """Pictures a second in each way of one engine, in turns; and what it refuses, with reasons."""
    opened = open_bundle(path)
    variant = opened.variant(variant_name)
    feed = tuple(array.copy() for array in opened.golden(variant).feed(0))
    classes = default_registry().classes("backend")
    backend = create(next(cls for cls in classes if variant.format in cls.formats))
    device = backend.devices()[0]
    (first, *_) = backend.options(device, variant.precision)
    cpus = available_cpus()
    ways: dict[str, Options] = {
        "one runner": first,
        "all threads": {**first, "threads": cpus},
        f"{cpus} calls": {**first, "calls": cpus},
    }
    for size in BATCHES:
        ways[f"batches of {size}"] = {**first, "batch": size}
        ways[f"{cpus} calls, batches of {size}"] = {**first, "calls": cpus, "batch": size}
    runners: dict[str, tuple[Runner, int]] = {}
    refused: dict[str, str] = {}
    for name, options in ways.items():
        try:
            runner = load_wide(backend, opened.model(variant), device, options)
        except edgeprep.EdgePrepError as error:
            refused[name] = str(error)
            continue
        runners[name] = runner, int(options.get("calls", 1))
    found: dict[str, list[list[float]]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, (runner, calls) in runners.items():
            found[name].append(runner.measure_busy(feed, calls))
    for runner, _ in runners.values():
        runner.close()
    return {name: 1e3 / summarize(bursts).median_ms for name, bursts in found.items()}, refused


def lines(rates: dict[str, float]) -> list[str]:
    """What was measured, each against one runner."""
    one = rates["one runner"]
    return [f"{name}: {rate:.0f} a second, {rate / one:.2f} of one" for name, rate in rates.items()]


def sessions(path: str) -> dict[str, list[float]]:
    """Pictures a second of sessions, by goal and by who calls, of each turn."""
    # The pictures are noise, which sessions tell of.
    logging.getLogger("edgeprep").setLevel(logging.ERROR)
    with TemporaryDirectory() as cache:
        os.environ["EDGEPREP_CACHE"] = cache
        with (
            edgeprep.open(path, goal="latency") as quick,
            edgeprep.open(path, goal="throughput") as busy,
        ):
            size = [edge or 64 for edge in (quick.input.height, quick.input.width)]
            rng = np.random.default_rng(0)
            pictures = rng.integers(0, 256, (4 * CALLERS, *size, 3), dtype=np.uint8)
            ways: dict[str, Callable[[], float]] = {
                f"latency ({quick.choice}), one thread": lambda: ask(quick, pictures, 1),
                SINGLE: lambda: ask(quick, pictures, CALLERS),
                f"throughput ({busy.choice}), one thread": lambda: ask(busy, pictures, 1),
                BUSY: lambda: ask(busy, pictures, CALLERS),
                AGAIN: lambda: ask(quick, pictures, CALLERS),
                SINGLE_BATCH: lambda: batches(quick, pictures),
                BUSY_BATCH: lambda: batches(busy, pictures),
            }
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    found[name].append(way())
    return found


def ask(session: edgeprep.Session, pictures: NDArray[np.uint8], callers: int) -> float:
    """Pictures a second, of so many threads that each ask for one after another."""
    counts = [0] * callers
    end = perf_counter() + TURN_S

    def caller(index: int) -> None:
        while perf_counter() < end:
            session(pictures[(index + counts[index]) % len(pictures)])
            counts[index] += 1

    threads = [Thread(target=caller, args=(index,)) for index in range(callers)]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (perf_counter() - start)


def batches(session: edgeprep.Session, pictures: NDArray[np.uint8]) -> float:
    """Pictures a second, of one thread that hands them over together."""
    start, count = perf_counter(), 0
    while perf_counter() < start + TURN_S:
        count += len(session.batch(pictures))
    return count / (perf_counter() - start)
