"""Every filter at the size of a network: what it adds to a graph in each engine, and in numpy."""

from collections.abc import Mapping

import numpy as np

from benchmarks.figures import Figure, Report
from benchmarks.preprocessing.families import FLOAT, KNOWN_SLOW, WHOLE
from benchmarks.preprocessing.graphs import FORMATS, Workshop, load, workshop
from benchmarks.preprocessing.pictures import photo
from benchmarks.preprocessing.turns import in_turns
from edgeprep.interfaces import Runner, Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

__all__ = ["measure"]

SIDE = 224
IMAGE = ImageSpec(height=SIDE, width=SIDE)
LIMIT_MS = 3.0
ROUNDS = 25


def measure() -> Report:
    """Each stage in turns with a graph that has none."""
    figures, notes = [], []
    with workshop() as bench:
        bare = {engine: runner_of(engine, bench, DType()) for engine in FORMATS}
        for name, stage in (FLOAT | WHOLE).items():
            times = stage_ms(stage, bare, bench)
            held = [(times[engine], engine) for engine in FORMATS if engine not in slow(name)]
            if held:
                ms, engine = max(held)
                title = f"{name}: {engine}"
                figures.append(Figure(name=title, value=ms, limit=LIMIT_MS, unit="ms"))
            notes.append(f"{name}: {describe(times, slow(name))}")
    return Report(
        title=f"stages, {SIDE} × {SIDE} × 3, one thread, ms added to a graph; the slowest engine",
        figures=tuple(figures),
        notes=tuple(notes),
    )


def slow(name: str) -> set[str]:
    """The engines in which a stage is known to take longer, so that `edgeprep check` warns."""
    return {engine for stage, engine in KNOWN_SLOW if stage == name}


def describe(times: Mapping[str, float], known: set[str]) -> str:
    listed = ", ".join(f"{engine} {ms:.2f}" for engine, ms in times.items())
    return f"{listed}; known to be slow: {', '.join(sorted(known))}" if known else listed


def stage_ms(stage: Stage, bare: Mapping[str, Runner], bench: Workshop) -> dict[str, float]:
    """Milliseconds of `stage` on float32 pictures, in every engine and in numpy."""
    picture = photo(SIDE, SIDE)[None]
    levels, floats = picture.astype(np.float32), IMAGE.replace(dtype="float32")
    times = {}
    for engine, without in bare.items():
        runner = runner_of(engine, bench, DType(), stage)
        calls = {"bare": without, "stage": runner}
        found = in_turns(
            {name: lambda one=one: one.run((picture,)) for name, one in calls.items()},  # type: ignore[misc]
            ROUNDS,
        )
        runner.close()
        times[engine] = max(found["stage"] - found["bare"], 0.0)
    call = {"numpy": lambda: stage.apply(NumpyPrimitives(), levels, floats)}
    return times | in_turns(call, ROUNDS)


def runner_of(engine: str, bench: Workshop, *stages: Stage) -> Runner:
    return load(engine, bench.export(engine, Chain(input=IMAGE, stages=stages)))
