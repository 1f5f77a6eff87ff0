"""What a session holds after many calls, many opens and pictures of many sizes."""

import gc
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median_low
from time import monotonic

import numpy as np

import edgeprep
from benchmarks.figures import Figure, Report
from benchmarks.hammer import mixed
from benchmarks.watched import file_count, rss_bytes, temporary_count, thread_count, trim

__all__ = ["Held", "calls", "cycles", "sizes", "slope_mb"]

_THREADS = 8
_SAMPLES = 100
# Until then pools grow and pages are touched for the first time.
_SETTLED = 0.1
_CALLS_LIMIT_MB, _SHARE_LIMIT = 1.0, 0.05
_CYCLES_LIMIT_MB, _SIZES_LIMIT_MB = 5.0, 20.0
_LARGEST = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process holds at one moment."""

    calls: int
    rss_bytes: int
    files: int
    threads: int
    temporary: int

    @classmethod
    def now(cls, calls: int) -> "Held":
        """What it holds after so many calls."""
        return cls(
            calls=calls,
            rss_bytes=rss_bytes(),
            files=file_count(),
            threads=thread_count(),
            temporary=temporary_count(),
        )


def slope_mb(held: list[Held], calls: int = 10_000) -> float:
    """By how many MB memory grows in so many calls: a straight line through all of `held`."""
    x = np.array([one.calls for one in held], np.float64)
    y = np.array([one.rss_bytes for one in held], np.float64) / 1e6
    return float(np.polyfit(x, y, 1)[0] * calls) if np.ptp(x) else 0.0


def calls(path: str, engine: str, count: int, minutes: float | None) -> Report:
    """Calls of one session from 8 threads, with random pictures of a fixed shape.

    Args:
        path: of a classifier's bundle.
        engine: which is to answer.
        count: of the calls of all threads.
        minutes: in the place of `count`.
    """
    with _own_temporary(), edgeprep.open(path, prefer=engine, probe=False) as session:
        held = _work(session, count, minutes)
        candidate = str(session.choice)
    settled = held[int(len(held) * _SETTLED) :]
    grown = settled[-1].rss_bytes - settled[0].rss_bytes
    slope = slope_mb(settled)
    return Report(
        title=f"soak: {settled[-1].calls:,} calls from {_THREADS} threads, {engine}",
        figures=(
            Figure(
                name="memory that 10,000 calls add", value=slope, limit=_CALLS_LIMIT_MB, unit="MB"
            ),
            Figure(
                name="memory added in all, of what there was",
                value=grown / settled[0].rss_bytes,
                limit=_SHARE_LIMIT,
            ),
            *_constant(settled),
        ),
        notes=(candidate, f"{settled[0].rss_bytes / 1e6:.1f} MB, then {grown / 1e6:+.2f} MB"),
        details={"rss_mb": [one.rss_bytes / 1e6 for one in held]},
    )


def _work(session: edgeprep.Session, count: int, minutes: float | None) -> list[Held]:
    """What is held from the first call to the last, while all threads are there."""
    image = session.input
    pictures = mixed((image.rows or 64, image.width or 64, image.channels))
    end = None if minutes is None else monotonic() + 60 * minutes
    lock, done, held, stop = threading.Lock(), [0], [Held.now(0)], threading.Event()
    step = [max(1, count // _SAMPLES)]

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                # A new one each time: who keeps what it was given holds more and more.
                session(pictures[rng.integers(len(pictures))] ^ np.uint8(rng.integers(256)))
                with lock:
                    done[0] += 1
                    if done[0] % step[0] == 0:
                        held.append(Held.now(done[0]))
                    if len(held) > 4 * _SAMPLES:  # or it is this list that grows
                        del held[1::2]
                        step[0] *= 2
                    if done[0] >= count if end is None else monotonic() >= end:
                        break
        finally:
            stop.set()  # nobody goes on where one has failed

    with ThreadPoolExecutor(_THREADS) as pool:
        for work in [pool.submit(call, seed) for seed in range(_THREADS)]:
            work.result()
    return held


def cycles(path: str, engine: str, count: int) -> Report:
    """Opens, calls and closes, `count` times, all in this process."""
    with _own_temporary():
        held = []
        for index in range(count):
            opened = edgeprep.open(path, prefer=engine, probe=False, isolate=False)
            with opened as session:
                image = session.input
                shape = (image.rows or 64, image.width or 64, image.channels)
                session(np.full(shape, index % 256, np.uint8))
            # Now and then: collecting takes longer than opening where much is imported.
            if index % max(5, count // _SAMPLES) == 0 or index == count - 1:
                del session, opened
                gc.collect()
                trim()
                held.append(Held.now(index + 1))
    return _added(f"{count:,} opens and closes, {engine}", held, _CYCLES_LIMIT_MB)


def sizes(path: str, engine: str, count: int) -> Report:
    """Pictures of `count` random sizes, of a network whose preprocessing brings them to one."""
    rng = np.random.default_rng(0)
    with _own_temporary(), edgeprep.open(path, prefer=engine, probe=False) as session:
        held = []
        session(np.zeros((_LARGEST, _LARGEST, 3), np.uint8))
        for index in range(count):
            height, width = rng.integers(1, _LARGEST + 1, 2)
            session(rng.integers(0, 256, (height, width, 3), np.uint8))
            if index % max(1, count // _SAMPLES) == 0 or index == count - 1:
                held.append(Held.now(index + 1))
        candidate = str(session.choice)
    return _added(f"pictures of {count:,} sizes, {engine}", held, _SIZES_LIMIT_MB, candidate)


def _added(title: str, held: list[Held], limit_mb: float, *notes: str) -> Report:
    """What there is more at the end than when all had settled."""
    settled = held[int(len(held) * _SETTLED) :]
    grown = (settled[-1].rss_bytes - settled[0].rss_bytes) / 1e6
    return Report(
        title=f"soak: {title}",
        figures=(
            Figure(name="memory that they add", value=grown, limit=limit_mb, unit="MB"),
            *_constant(settled),
        ),
        notes=(*notes, f"{settled[0].rss_bytes / 1e6:.1f} MB, then {grown:+.2f} MB"),
        details={"rss_mb": [one.rss_bytes / 1e6 for one in held]},
    )


def _constant(settled: list[Held]) -> tuple[Figure, ...]:
    """What may not grow at all: the last tenth beside the first, as it is most of the time.

    The process may be about to close a file that it has just read when it is looked at.
    """
    part = max(1, len(settled) // 10)

    def more(count: Callable[[Held], int]) -> int:
        first, last = settled[:part], settled[-part:]
        return median_low(map(count, last)) - median_low(map(count, first))

    return (
        Figure(name="more open files", value=more(lambda one: one.files), limit=0),
        Figure(name="more threads", value=more(lambda one: one.threads), limit=0),
        Figure(name="more temporary files", value=more(lambda one: one.temporary), limit=0),
    )


@contextmanager
def _own_temporary() -> Iterator[None]:
    """Inside, temporary files go where nobody else leaves any."""
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            tempfile.tempdir = before
            del os.environ["TMPDIR"]
            if variable is not None:
                os.environ["TMPDIR"] = variable
