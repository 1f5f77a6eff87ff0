"""Times that jump, go back, or repeat."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import inf, nan
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.films import open_film
from edgeprep.films.stamps import Stamps


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        # A gap may be a gap.
        ([0, 1, 90, 91], [0, 1, 90, 91]),
        ([0, 1, 1, 2], [0, 1, 1.5, 2.5]),
        ([5, 6, 2, 3, 4], [5, 6, 6.5, 7.5, 8.5]),
        # Back, and then on as before: by then the others have passed that time.
        ([0, 10, 5, 11], [0, 10, 10.5, 16.5]),
        ([0, 2, 1, 0], [0, 2, 2.5, 3.0]),
        ([nan, 1, nan, inf, 2], [0, 1, 1.5, 2, 2.5]),
    ],
    ids=["grow", "gap", "repeat", "go back", "jump back and on", "go back twice", "no number"],
)
def test_times_grow(times: list[float], wanted: list[float]) -> None:
    stamps = Stamps(0.5)
    assert [stamps.next(time_s) for time_s in times] == wanted


@pytest.mark.parametrize("seed", range(20))
def test_times_grow_whatever_comes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stamps = Stamps(1e-6)
    times = [stamps.next(float(time_s)) for time_s in rng.normal(0, 10.0 ** (seed - 10), 300)]
    assert all(a < b for a, b in pairwise(times))


def frames_at(path: Path, times: list[int]) -> Path:
    """A film of MPEG-TS whose packets say these times, in hundredths, whatever they are."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream: Any = container.add_stream(
            "libx264", rate=100, options={"bf": "0", "tune": "zerolatency"}
        )
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        packets = []
        for index in range(len(times)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 100)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet, time in zip(packets, times, strict=True):
            packet.pts = packet.dts = time
            packet.time_base = Fraction(1, 100)
            container.mux(packet)
    return path


def test_a_film_whose_frames_come_as_they_like_keeps_their_times(tmp_path: Path) -> None:
    path = frames_at(tmp_path / "film.ts", [0, 1, 2, 30, 31, 90, 200])
    with open_film(path) as film:
        times = [frame.time_s for frame in film]
    assert times == pytest.approx([0, 0.01, 0.02, 0.3, 0.31, 0.9, 2.0], abs=1e-3)


def test_parts_of_films_that_were_joined_go_on_in_time(
    film: Callable[..., Path], tmp_path: Path
) -> None:
    # Each begins at its own 0, as where a recorder begins a new file every minute.
    parts = [film(f"{index}.ts", frames=20, fps=10).read_bytes() for index in range(3)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    with open_film(path) as opened:
        times = [frame.time_s for frame in opened]
    assert len(times) == 60
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] == pytest.approx(5.9, abs=0.5)
