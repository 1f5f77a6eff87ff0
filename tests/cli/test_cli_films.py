"""`edgeprep run` on films: a result for each frame, and a film with results drawn into it."""

import json
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.cli.running.films import _time_of
from edgeprep.cli.stopping import Stopped
from edgeprep.films import FilmFrame
from edgeprep.marks import color_of
from edgeprep.runtime import Session

Run = Callable[..., Any]
Make = Callable[..., Path]

RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)
DETECT = {
    "use": "detect",
    "labels": ["red", "green", "blue"],
    "scores": {"output": 1, "activation": "none"},
}


def frames_of(path: Path | str) -> tuple[list[Any], float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, float(stream.average_rate or 0)


def lines_of(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_people_see_a_line_for_each_frame(edgeprep: Run, bundle: Path, film: Make) -> None:
    path = film("film.mp4", RED, RED, BLUE)
    ended = edgeprep("run", bundle, path)
    lines = ended.stdout.splitlines()
    assert ended.code == 0
    assert [line.rpartition(" (")[0] for line in lines[:3]] == [
        f"{path}  frame 0, 0.00 s  red",
        f"{path}  frame 1, 0.10 s  red",
        f"{path}  frame 2, 0.20 s  blue",
    ]
    assert lines[3].startswith(f"{path}  3 frames in ")


def test_an_annotated_film_is_written_at_the_same_rate(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    path = film("film.mkv", RED, GREEN, BLUE, fps=30, size=300)
    ended = edgeprep("run", bundle, path, "-o", "new/drawn")
    assert ended.code == 0
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stdout.endswith("; drawn into new/drawn/film.mp4\n")
    frames, rate = frames_of("new/drawn/film.mp4")
    assert rate == pytest.approx(30, rel=1e-3)
    for frame, color in zip(frames, (RED, GREEN, BLUE), strict=True):
        assert frame.shape == (300, 300, 3)
        assert np.abs(frame[50:200].astype(int) - color).max() <= 12
        # White words on a dark band along the lower side.
        assert frame[275:].max() > 200
        assert frame[295:].max() < 60
    lines = lines_of("new/drawn/film.jsonl")
    assert [(line["frame"], line["label"]) for line in lines] == [
        (0, "red"),
        (1, "green"),
        (2, "blue"),
    ]
    assert [line["time_s"] for line in lines] == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-3)
    assert {line["picture"] for line in lines} == {str(path)}
    assert sorted(each.name for each in Path("new/drawn").iterdir()) == ["film.jsonl", "film.mp4"]


def test_a_small_film_is_enlarged_and_boxes_are_drawn_into_it(
    edgeprep: Run, make_task_bundle: Make, film: Make
) -> None:
    path = film("film.mp4", RED, BLACK, BLUE)
    ended = edgeprep("run", make_task_bundle("boxes", **DETECT), path, "-o", "drawn")
    assert ended.code == 0
    frames, _ = frames_of("drawn/film.mp4")
    # 64 pixels four times; the box is that of pixels 1 to 5 of 8.
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 3
    # The colour of a line of one pixel is shared with its seam: films have half as many colours.
    assert np.abs(frames[2][128, 160:170].astype(int) - color_of(2)).sum(axis=1).min() < 200
    assert np.abs(frames[1][100:].astype(int)).max() < 20
    assert [len(line["objects"]) for line in lines_of("drawn/film.jsonl")] == [1, 0, 1]


def test_machines_get_frames_in_one_document(edgeprep: Run, bundle: Path, film: Make) -> None:
    path = film("film.mp4", RED, BLUE)
    document = json.loads(edgeprep("run", bundle, path, "--format", "json").stdout)
    assert [(one["frame"], one["label"]) for one in document["results"]] == [
        (0, "red"),
        (1, "blue"),
    ]
    (one,) = document["films"]
    assert one.pop("seconds") > 0
    assert one == {"film": str(path), "frames": 2, "dropped": 0, "output": None}


def test_of_a_film_that_ends_early_what_was_written_is_whole(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    rng = np.random.default_rng(4)
    colors = [tuple(rng.integers(60, 200, 3).tolist()) for _ in range(40)]
    path = film("film.mkv", *colors, size=96)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    ended = edgeprep("run", bundle, path, "-o", "drawn")
    count = len(lines_of("drawn/film.jsonl"))
    assert ended.code == 1
    assert 10 <= count < 38
    assert len(frames_of("drawn/film.mp4")[0]) == count
    assert f"  {count} frames in " in ended.stdout
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {path}: must be 4.00 s long, as it says, "
        f"got an end after {count / 10:.2f} s and {count} frames"
    )


def test_a_film_whose_size_changes_ends_there_and_the_next_one_is_run(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    path, other = film("film.ts", RED, RED, RED), film("other.mp4", BLUE)
    path.write_bytes(path.read_bytes() + film("second.ts", GREEN, GREEN, size=96).read_bytes())
    ended = edgeprep("run", bundle, path, other, "-o", "drawn")
    assert ended.code == 1
    assert [line["label"] for line in lines_of("drawn/film.jsonl")] == ["red"] * 3
    assert len(frames_of("drawn/film.mp4")[0]) == 3
    assert len(frames_of("drawn/other.mp4")[0]) == 1
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {path}: frame 3 must have the size of those before it, 64×64, got 96×96"
    )


def test_a_frame_without_a_finite_result_is_named_and_the_others_are_run(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    path = film("film.mp4", RED, RED, BLACK, BLACK, BLUE)
    ended = edgeprep("run", bundle, path, "-o", "drawn")
    assert ended.code == 1
    assert [line["frame"] for line in lines_of("drawn/film.jsonl")] == [0, 1, 4]
    assert len(frames_of("drawn/film.mp4")[0]) == 5
    *_, first, last = ended.stderr.splitlines()
    assert first.startswith(f"edgeprep: {path}: session 'brightest': pictures[2]: output ")
    assert last == (f"edgeprep: {path}: all frames must have a finite result, got 2 that have none")


def test_a_file_that_is_no_film_leaves_nothing_behind(edgeprep: Run, bundle: Path) -> None:
    Path("film.mp4").write_bytes(b"hello" * 100)
    ended = edgeprep("run", bundle, "film.mp4", "-o", "drawn")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == (
        "edgeprep: film.mp4: must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG), "
        "got one that fails with 'Invalid data found when processing input'"
    )
    assert not Path("drawn").exists()


def test_a_film_that_would_be_replaced_is_refused_before_any_work(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    path = film("film.mkv", RED)
    Path("drawn").mkdir()
    Path("drawn/film.jsonl").write_bytes(b"precious")
    ended = edgeprep("run", bundle, path, "-o", "drawn")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: drawn/film.jsonl: already exists; pass --overwrite to replace it\n"
    )
    assert [each.name for each in Path("drawn").iterdir()] == ["film.jsonl"]
    assert edgeprep("run", bundle, path, "-o", "drawn", "--overwrite").code == 0
    assert len(lines_of("drawn/film.jsonl")) == 1


def test_a_film_that_is_stopped_leaves_nothing_behind(
    edgeprep: Run, bundle: Path, film: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film("film.mp4", *[RED] * 5)
    there = []

    def look() -> None:
        there.append(len(list(Path().rglob(".edgeprep-*.tmp"))))
        if len(there) == 3:
            raise Stopped(signal.SIGINT)

    monkeypatch.setattr("edgeprep.cli.running.followed.check_stopped", look)
    ended = edgeprep("run", bundle, path, "-o", "drawn")
    assert ended.code == 130
    # Both files were begun by then.
    assert there == [0, 2, 2]
    assert list(Path("drawn").iterdir()) == []


def test_a_stream_that_drops_frames_says_how_many(
    edgeprep: Run, make_bundle: Callable[..., Path], film: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = Session.stream

    def every_other(self: Session, pictures: Any, **options: Any) -> Any:
        results = follow(self, pictures, **options)
        return (None if index % 2 else result for index, result in enumerate(results))

    monkeypatch.setattr(Session, "stream", every_other)
    path = film("film.mp4", RED, GREEN, BLUE, RED, size=300)
    bundle = make_bundle("red", "green", "blue")
    ended = edgeprep("run", bundle, path, "-o", "drawn")
    assert ended.code == 0
    assert "  2 frames in " in ended.stdout
    assert ", 2 dropped; drawn into drawn/film.mp4\n" in ended.stdout
    assert [line["frame"] for line in lines_of("drawn/film.jsonl")] == [0, 2]
    # The film has them all, with the words of the one before.
    frames, _ = frames_of("drawn/film.mp4")
    assert len(frames) == 4
    words = [frame[280:].astype(int) for frame in frames]
    assert np.abs(words[1] - words[0]).max() < 40
    assert np.abs(words[2] - words[1]).max() > 100


def test_frames_before_the_first_result_are_in_the_film(
    edgeprep: Run, bundle: Path, film: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = Session.stream

    def late(self: Session, pictures: Any, **options: Any) -> Any:
        results = follow(self, pictures, **options)
        return (None if index < 2 else result for index, result in enumerate(results))

    monkeypatch.setattr(Session, "stream", late)
    edgeprep("run", bundle, film("film.mp4", RED, GREEN, BLUE, size=300), "-o", "drawn")
    frames, _ = frames_of("drawn/film.mp4")
    # As a network that looks at three frames at once: no words on the first two.
    assert [bool(frame[280:].max() > 220) for frame in frames] == [False, False, True]


def test_without_pyav_nothing_is_measured(
    edgeprep: Run, bundle: Path, film: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from edgeprep_fakes import FakeBackend

    path = film("film.mp4", RED)
    monkeypatch.delattr(FakeBackend, "load")
    for name in [name for name in sys.modules if name.startswith("edgeprep.films._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    ended = edgeprep("run", bundle, path)
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: reading films needs PyAV, which is not installed; pip install edgeprep[video]\n"
    )


def test_frames_have_their_own_times_and_not_those_that_rounding_makes() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    # Matroska stores milliseconds.
    assert _time_of(Fraction(30), FilmFrame(3, 0.101, picture)) == 0.1
    # Of a film whose frames come as they like.
    assert _time_of(Fraction(30), FilmFrame(3, 2.0, picture)) == 2.0


def test_stages_over_time_go_by_the_times_of_a_film(
    edgeprep: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [0.0, 0.1, 2.0, 2.1]
    with av.open("film.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for place in times:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), RED, np.uint8), format="rgb24")
            frame.pts = round(10 * place)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    seen: list[float] = []
    follow = Session.stream

    def watched(self: Session, pictures: Any, *, clock: Any, **options: Any) -> Any:
        def timed() -> float:
            seen.append(clock())
            return seen[-1]

        return follow(self, pictures, clock=timed, **options)

    monkeypatch.setattr(Session, "stream", watched)
    assert edgeprep("run", bundle, "film.mp4").code == 0
    assert seen == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize("words", [[], ["--camera"]], ids=["a file", "at its own pace"])
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_a_playlist_is_called_one(
    edgeprep: Run, bundle: Path, film: Make, tmp_path: Path, name: str, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{film('part.ts', RED)}\n#EXT-X-ENDLIST\n")
    headless = ["--headless"] if words else []
    ended = edgeprep("run", bundle, *words, path, *headless)
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {path}: must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG), got a playlist "
        "of other files; name the films in it, or follow it from a program"
    )
