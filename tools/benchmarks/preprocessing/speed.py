"""The speed table: a frame of 720 × 1280 to 224 × 224, one thread."""

import cv2
import torch

from benchmarks.figures import Figure, Report
from benchmarks.preprocessing.fused import added_bytes, overheads
from benchmarks.preprocessing.graphs import workshop
from benchmarks.preprocessing.hosts import CONTENDERS
from benchmarks.preprocessing.pictures import frame
from benchmarks.preprocessing.turns import in_turns

__all__ = ["measure"]

# Which of the contenders, against which other one, and how many times as fast it shall be.
RATIOS = (
    ("bilinear, ours with OpenCV", "bilinear, naive OpenCV", 4.0),
    ("bilinear, ours with OpenCV", "antialiased, naive Pillow", 20.0),
    ("antialiased, ours with numpy", "antialiased, naive Pillow", 2.0),
)
LIMITS_MS = {
    "bilinear, ours with OpenCV": 0.15,
    "bilinear, ours with numpy": 1.5,
    "antialiased, ours with numpy": 2.5,
}


def measure() -> Report:
    """On the host all contenders in turns, in graphs each engine's three models in turns."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    picture = frame()
    times = in_turns({name: lambda f=f: f(picture) for name, f in CONTENDERS.items()})  # type: ignore[misc]
    figures = [
        Figure(name=f"host: {name}", value=times[name], limit=limit, unit="ms")
        for name, limit in LIMITS_MS.items()
    ]
    for name, other, limit in RATIOS:
        title = f"{name}, over {other.split(', ')[1]}"
        ratio = times[other] / times[name]
        figures.append(Figure(name=title, value=ratio, limit=limit, unit="times", rule="at least"))
    with workshop() as bench:
        added = list(overheads(bench))
        figures += [figure for figure, _ in added]
        figures += added_bytes(bench)
    hosts = [f"host: {name}: {ms:.3f} ms" for name, ms in times.items()]
    return Report(
        title="speed, 720 × 1280 to 224 × 224, one thread, in turns",
        figures=tuple(figures),
        notes=(*hosts, *(note for _, note in added if note)),
        details={"host_ms": times},
    )
