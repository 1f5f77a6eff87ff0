"""How long the call takes in which an engine is found dead or failing: another one answers."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Timer
from time import perf_counter, sleep
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

import edgeprep
from benchmarks.altered import Around, registry_of
from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.errors import BackendError
from edgeprep.interfaces import Device, Model, Options, Runner
from edgeprep.runtime import Session
from edgeprep_onnx import OnnxRuntimeBackend
from edgeprep_openvino import OpenVINOBackend
from edgeprep_tflite import LiteRTBackend

__all__ = ["Gaps", "measure", "summarize"]

MODEL = "digits-mobilenet"
ENGINES = ("onnxruntime", "openvino", "litert")
LIMIT_S = 1.0
ROUNDS = 5
# What is kept loaded in reserve is there by then.
WARM_UP_S = 3.0
# How long after the first call of a row the worker is killed: in the midst of one.
IN_MIDST_S = 0.05

# Seconds of each round, by what went wrong.
Gaps = dict[str, list[float]]


def measure() -> Report:
    """For each engine, what goes wrong in a worker, and in the application."""
    return summarize({engine: gaps(engine) for engine in ENGINES})


def summarize(found: dict[str, Gaps]) -> Report:
    """The longest of all rounds as figures, the median as a note.

    Args:
        found: of each engine.
    """
    rows = [(f"{engine}, {what}", each) for engine in found for what, each in found[engine].items()]
    return Report(
        title="gap: the longest call around the moment at which what answers dies or fails",
        figures=tuple(
            Figure(name=name, value=max(each), limit=LIMIT_S, unit="s") for name, each in rows
        ),
        notes=tuple(f"{name}: median {median(each):.2f} s of {len(each)}" for name, each in rows),
        details={engine: {"gaps_s": each} for engine, each in found.items()},
    )


def gaps(engine: str) -> Gaps:
    """Each thing that goes wrong, in turns."""
    path = bundle(MODEL)
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    found: Gaps = {"its worker dies": [], "the next one, too": [], "it fails, default open": []}
    for number in range(ROUNDS):
        first, second = in_workers(path, engine, picture, in_midst=bool(number % 2))
        here = in_application(path, engine, picture)
        for each, seconds in zip(found.values(), (first, second, here), strict=True):
            each.append(seconds)
    return found


def in_workers(
    path: Path, engine: str, picture: NDArray[np.uint8], *, in_midst: bool
) -> tuple[float, float]:
    """The worker that answers dies, and then that of the next, while the first is loaded again."""
    with opened(path, prefer=engine, isolate=True) as session:
        session(picture)
        sleep(WARM_UP_S)
        answering = session._runner.worker_pid
        started = [process.pid for process in psutil.Process().children()]
        reserve = [worker for worker in started if worker != answering]
        if answering not in started or not reserve:
            sys.exit(f"{engine}: its worker and that of the next must be there, got {started!r}")
        first = longest_call(session, picture, lambda: kill([answering]), in_midst=in_midst)
        if "fallback" not in session.events.counts:
            sys.exit(f"{engine}: the death of its worker must be told, got no event")
        return first, longest_call(session, picture, lambda: kill(reserve), in_midst=False)


def in_application(path: Path, engine: str, picture: NDArray[np.uint8]) -> float:
    """The engine that answers in this process fails, and nothing is in reserve.

    What kills its process cannot be survived there; so it raises.
    """
    _Failing.loaded.clear()
    with opened(path, prefer=engine, registry=registry_of(*FAILING)) as session:
        session(picture)
        sleep(WARM_UP_S)
        seconds = longest_call(session, picture, _Failing.loaded[0].fail, in_midst=False)
        if "failure" not in session.events.counts:
            sys.exit(f"{engine}: its failure must be told, got no event")
    return seconds


def opened(path: Path, **options: Any) -> Session:
    """A session that has measured nothing, and remembers nothing."""
    with TemporaryDirectory() as cache:
        os.environ["EDGEPREP_CACHE"] = cache
        return edgeprep.open(path, probe=False, **options)


def longest_call(
    session: Session, picture: NDArray[np.uint8], harm: Callable[[], None], *, in_midst: bool
) -> float:
    """Seconds of the longest of the calls during which `harm` is done."""
    timer = Timer(IN_MIDST_S if in_midst else 0.0, harm)
    timer.start()
    if not in_midst:
        timer.join()
    longest, end = 0.0, perf_counter() + 4 * IN_MIDST_S
    while perf_counter() < end:
        began = perf_counter()
        session(picture)
        longest = max(longest, perf_counter() - began)
    timer.join()
    return longest


def kill(processes: Sequence[int]) -> None:
    """As the system does where memory runs out."""
    for process in processes:
        os.kill(process, signal.SIGKILL)


class _Failing(Around):
    """An engine that answers until it is told to fail, and never again."""

    loaded: list["_Failing"] = []  # noqa: RUF012 -- of all

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self._fails = False
        self.loaded.append(self)

    def fail(self) -> None:
        self._fails = True

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        if self._fails:
            raise BackendError("device: must be there, got none")
        return super().run(inputs)


class _FailingOnnx(OnnxRuntimeBackend):
    def load(self, model: Model, device: Device, options: Options) -> Runner:
        return _Failing(super().load(model, device, options))


class _FailingOpenVINO(OpenVINOBackend):
    def load(self, model: Model, device: Device, options: Options) -> Runner:
        return _Failing(super().load(model, device, options))


class _FailingLiteRT(LiteRTBackend):
    def load(self, model: Model, device: Device, options: Options) -> Runner:
        return _Failing(super().load(model, device, options))


FAILING = (_FailingOnnx, _FailingOpenVINO, _FailingLiteRT)
