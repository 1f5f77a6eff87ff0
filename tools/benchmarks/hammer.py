"""Many threads on one session: how many answers are not what one thread was told alone."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeprep
from benchmarks.figures import Figure, Report
from benchmarks.watched import rss_bytes
from edgeprep.errors import InputError

__all__ = ["THREADS", "Tally", "hammer", "measure", "mixed"]

Picture = NDArray[np.uint8]

THREADS = (2, 8, 32)
_PICTURES = 48
_BATCH = 4
# Of so many calls one is a batch, and one a picture that must be refused.
_EVERY = 16
# Pools grow with the first calls that overlap.
_WARM_UP = 0.1
_LIMIT_MB = 2.0
# No call takes longer, so that who has not answered by then never will.
_STUCK_S = 120.0


@dataclass(slots=True)
class Tally:
    """What one thread, or all of them, saw.

    Attributes:
        answers: how many came.
        wrong: how many of them were not what one thread was told alone.
        refused: how many pictures that are none were refused.
        let_pass: how many of those were not.
        stuck: how many threads did not come back.
    """

    answers: int = 0
    wrong: int = 0
    refused: int = 0
    let_pass: int = 0
    stuck: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.answers += other.answers
        self.wrong += other.wrong
        self.refused += other.refused
        self.let_pass += other.let_pass
        self.stuck += other.stuck
        self.errors += other.errors


def mixed(shape: tuple[int, int, int], count: int = _PICTURES, seed: int = 0) -> list[Picture]:
    """Pictures of all contents: noise, plain ones and ramps, each in another memory layout."""
    rng = np.random.default_rng(seed)
    found: list[Picture] = []
    for index in range(count):
        match index % 4:
            case 0:
                picture = rng.integers(0, 256, shape, np.uint8)
            case 1:
                picture = np.full(shape, rng.integers(256), np.uint8)
            case 2:
                picture = np.asfortranarray(rng.integers(0, 40, shape, np.uint8))
            case _:
                ramp = np.linspace(0, 255, shape[1], dtype=np.uint8)[::-1][None, :, None]
                picture = np.broadcast_to(ramp, shape)
        if index % 3 == 0:
            picture = np.repeat(picture, 2, axis=0)[::-2]
        found.append(picture)
    return found


def hammer(
    session: edgeprep.Session, pictures: list[Picture], *, threads: int, answers: int
) -> Tally:
    """Call `session` from `threads` threads until all `answers` have come.

    Args:
        session: of a classifier.
        pictures: what it is shown.
        threads: how many call at once; they begin together.
        answers: of all threads.
    """
    right = [session.outputs(picture)[0] for picture in pictures]
    labels = [session(picture).label for picture in pictures]
    bad = pictures[0].astype(np.float32)
    start = threading.Barrier(threads)
    tallies = [Tally() for _ in range(threads)]

    def call(seed: int, share: int) -> None:
        mine, rng = tallies[seed], np.random.default_rng(seed)
        start.wait()
        try:
            while mine.answers < share:
                _some_calls(session, pictures, right, labels, bad, rng, mine)
        except Exception as fault:  # noqa: BLE001 -- it is told of, and the others go on
            mine.errors.append(f"{type(fault).__name__}: {fault}")

    workers = [
        threading.Thread(target=call, args=(seed, -(-answers // threads)), daemon=True)
        for seed in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            before = sum(one.answers for one in tallies)
            worker.join(_STUCK_S)
            if sum(one.answers for one in tallies) == before:
                break
    total = Tally(stuck=sum(worker.is_alive() for worker in workers))
    for one in tallies:
        total.add(one)
    return total


def _some_calls(
    session: edgeprep.Session,
    pictures: list[Picture],
    right: list[NDArray[Any]],
    labels: list[str],
    bad: NDArray[np.float32],
    rng: np.random.Generator,
    mine: Tally,
) -> None:
    order = rng.integers(0, len(pictures), _EVERY + _BATCH).tolist()
    for index in order[:_EVERY]:
        if index % 2:
            mine.wrong += session(pictures[index]).label != labels[index]
        else:
            mine.wrong += not np.array_equal(session.outputs(pictures[index])[0], right[index])
    batch = order[_EVERY:]
    results = session.batch([pictures[index] for index in batch])
    mine.wrong += sum(
        result.label != labels[index] for result, index in zip(results, batch, strict=True)
    )
    mine.answers += len(order)
    try:
        session(bad)  # type: ignore[arg-type]
        mine.let_pass += 1
    except InputError:
        mine.refused += 1


def measure(path: str, engine: str, *, answers: int) -> Report:
    """`answers` of one engine, a third of them by 2, 8 and 32 threads."""
    figures, notes, details = [], [], {}
    with edgeprep.open(path, prefer=engine, probe=False) as session:
        image = session.input
        pictures = mixed((image.rows or 64, image.width or 64, image.channels))
        distinct = {session.outputs(picture)[0].tobytes() for picture in pictures}
        share = -(-answers // len(THREADS))
        # The widest first: pools are as large as they get when memory is first looked at.
        hammer(session, pictures, threads=max(THREADS), answers=int(share * _WARM_UP) + 1)
        before, total = rss_bytes(), Tally()
        for threads in THREADS:
            start = perf_counter()
            tally = hammer(session, pictures, threads=threads, answers=share)
            seconds = perf_counter() - start
            total.add(tally)
            notes.append(f"{threads} threads: {tally.answers:,} answers in {seconds:.0f} s")
        grown = (rss_bytes() - before) / 1e6
        candidate = str(session.choice)
    details[engine] = {"candidate": candidate, "answers": total.answers, "grown_mb": grown}
    notes.insert(0, f"{candidate}; {len(distinct)} of {len(pictures)} pictures have own answers")
    notes += total.errors[:5]
    figures = [
        Figure(name="answers", value=total.answers, limit=answers, rule="at least"),
        Figure(name="wrong answers", value=total.wrong, limit=0),
        Figure(name="errors", value=len(total.errors), limit=0),
        Figure(name="pictures that are none and were let pass", value=total.let_pass, limit=0),
        Figure(name="threads that did not come back", value=total.stuck, limit=0),
        Figure(name="memory that grew after warm-up", value=grown, limit=_LIMIT_MB, unit="MB"),
    ]
    return Report(
        title=f"hammer: {engine}, {Path(path).name}",
        figures=tuple(figures),
        notes=tuple(notes),
        details=details,
    )
