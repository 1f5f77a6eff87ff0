"""How much of its slowest step a stream is: capture, preprocessing and network at the same time."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeprep
from benchmarks.altered import Around, registry_of
from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.films import open_film, write_film
from edgeprep.interfaces import Device, Model, Options, Runner
from edgeprep.processor import available_cpus
from edgeprep.runtime import Session, from_rgb
from edgeprep_onnx import OnnxRuntimeBackend

__all__ = ["measure"]

MODEL = "digits-mobilenet"
SHARE = 0.9
ROUNDS = 7
FRAMES = 150
# A camera that gives a picture every so often, of which the network has done long before.
CAMERA_S = 0.01
ACCELERATOR_S = 0.012
LOOP_MS, CALLS = 20.0, 1000

Pixels = NDArray[np.uint8]


def measure() -> Report:
    """Each workload: its steps alone, and the stream, in turns."""
    # Engines with one thread: the steps are to have the processor's cores for themselves.
    with (
        TemporaryDirectory() as folder,
        edgeprep.open(bundle(MODEL), probe=False) as session,
        edgeprep.open(bundle(MODEL), probe=False, registry=registry_of(Accelerated)) as away,
    ):
        choice = str(session.choice)
        film = made(Path(folder) / "film.mp4")
        workloads = {
            "a film, every frame, on an accelerator that takes 12 ms": lambda: in_film(away, film),
            "a film of 640×480, every frame": lambda: in_film(session, film),
            "pictures of 1920×1080, every one": lambda: in_pictures(session),
            "a camera of 100 pictures a second, the newest": lambda: in_camera(session),
        }
        shares = {name: [found() for _ in range(ROUNDS)] for name, found in workloads.items()}
        pauses = [longest_pause_ms(session) for _ in range(ROUNDS)]
    figures = [
        Figure(
            name=name,
            value=median(share for share, _ in found),
            limit=SHARE,
            unit="of 1/slowest step",
            rule="at least",
        )
        for name, found in shares.items()
    ]
    figures.append(
        Figure(
            name=f"longest pause of an event loop with {CALLS} calls",
            value=median(pauses),
            limit=LOOP_MS,
            unit="ms",
        )
    )
    return Report(
        title=f"streams: {choice}, {ROUNDS} rounds",
        figures=tuple(figures),
        notes=tuple(f"{name}: {found[-1][1]}" for name, found in shares.items()),
        details={
            "shares": {name: [share for share, _ in found] for name, found in shares.items()},
            "pauses_ms": pauses,
        },
    )


class Accelerated(OnnxRuntimeBackend):
    """As where a device of its own works: the processor has nothing to do meanwhile."""

    name = "accelerated"

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """See `Backend.load`."""
        return _Waiting(super().load(model, device, options))


class _Waiting(Around):
    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        sleep(ACCELERATOR_S)
        return super().run(inputs)


def in_film(session: Session, path: Path) -> tuple[float, str]:
    """A film: it is decoded, its frames are resized, and the network looks at each."""
    with open_film(path) as film:
        began = perf_counter()
        pictures = [frame.picture for frame in film]
        capture_s = (perf_counter() - began) / len(pictures)
    prepare_s, answer_s = steps(session, pictures)
    return share(capture_s, prepare_s, answer_s, lambda: session.stream(path))


def in_pictures(session: Session) -> tuple[float, str]:
    """Pictures that are there: each is copied, as a camera might write into it again."""
    picture = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    pictures = [picture] * (FRAMES // 2)
    began = perf_counter()
    for one in pictures:
        one.copy()
    capture_s = (perf_counter() - began) / len(pictures)
    prepare_s, answer_s = steps(session, pictures)
    return share(capture_s, prepare_s, answer_s, lambda: session.stream(pictures, policy="every"))


def in_camera(session: Session) -> tuple[float, str]:
    """A camera that is slower than the rest."""
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

    def camera() -> Iterator[Pixels]:
        for _ in range(FRAMES):
            sleep(CAMERA_S)
            yield picture

    began = perf_counter()
    for _ in camera():
        pass
    capture_s = (perf_counter() - began) / FRAMES
    prepare_s, answer_s = steps(session, [picture] * 20)
    return share(capture_s, prepare_s, answer_s, lambda: session.stream(camera(), policy="newest"))


def steps(session: Session, pictures: list[Pixels]) -> tuple[float, float]:
    """Seconds that a picture takes to be prepared, and to be answered."""
    film = session._stream((), None, 1)
    began = perf_counter()
    ready = [film.prepare(from_rgb(one, session.input), 0, None) for one in pictures]
    half = perf_counter()
    for one in ready:
        film.answer(one)
    end = perf_counter()
    return (half - began) / len(pictures), (end - half) / len(pictures)


def share(
    capture_s: float, prepare_s: float, answer_s: float, open_stream: Callable[[], Any]
) -> tuple[float, str]:
    """What part of the pace of the slowest step a stream has, and the times for people."""
    with open_stream() as stream:
        # Not the opening of a source, and the first picture's way through all steps.
        next(stream)
        began, computed_s = perf_counter(), process_time()
        count = sum(1 for _ in stream)
        took_s = (perf_counter() - began) / count
        # No stream is faster than all of its steps take of all cores together.
        cores_s = (process_time() - computed_s) / count / available_cpus()
    slowest_s = max(capture_s, prepare_s, answer_s)
    each = (capture_s, prepare_s, answer_s, took_s)
    alone = "capture {:.2f}, prepare {:.2f}, answer {:.2f}; stream {:.2f} ms a picture"
    busy = f"cores busy for {cores_s / took_s:.0%} of it"
    return slowest_s / took_s, f"{alone.format(*(1e3 * one for one in each))}, {busy}"


def longest_pause_ms(session: Session) -> float:
    """For how long at most an event loop does not get its turn while calls are under way."""
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

    async def main() -> float:
        tasks, longest, last = [], 0.0, perf_counter()
        for index in range(CALLS):
            tasks.append(asyncio.create_task(session.answer(from_rgb(picture, session.input))))
            if index % 50 == 49:
                await asyncio.sleep(0)
        done = asyncio.gather(*tasks)
        while not done.done():
            await asyncio.sleep(0.001)
            now = perf_counter()
            longest, last = max(longest, now - last - 0.001), now
        return longest * 1e3

    return asyncio.run(main())


def made(path: Path) -> Path:
    """A film in which something moves."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (30, 50, 3), np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    with write_film(path, fps=30) as film:
        for index in range(FRAMES):
            film.add(np.ascontiguousarray(scene[index % 100 :][:480, index % 200 :][:, :640]))
    return path
