"""`edgeprep run --camera`: live sources, how fast they go, and what of those that stall."""

import csv
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from threading import Condition, Event, Semaphore, Thread
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgeprep as package
from edgeprep.cli.events import events_on_stderr
from edgeprep.cli.running.answers import LineAnswers
from edgeprep.cli.running.live import LiveOptions, live_name, run_live
from edgeprep.cli.running.meter import Meter
from edgeprep.cli.running.screen import open_window
from edgeprep.errors import BackendUnavailable, FilmError, OutputError, StreamStalled
from edgeprep.runtime.live import SourceStream

Run = Callable[..., Any]
Make = Callable[..., Path]

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
USAGE = "Usage: edgeprep run [OPTIONS] BUNDLE [SOURCES]...\nTry 'edgeprep run --help' for help.\n\n"
PACE = r"\d+\.\d frames/s, latency p50 \d+\.\d ms, p90 \d+\.\d ms, \d+ dropped"


def picture(color: tuple[int, int, int]) -> Any:
    return np.full((300, 400, 3), color, np.uint8)


class Fake:
    """A source that sends pictures of these colours, and waits where it meets an event."""

    is_whole = False

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.stopped = Event()
        self.sent = 0

    def __iter__(self) -> Iterator[Any]:
        for step in self.script:
            if isinstance(step, Event):
                while not (step.wait(0.01) or self.stopped.is_set()):
                    pass
            elif isinstance(step, Exception):
                raise step
            else:
                self.sent += 1
                yield picture(step)

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        pass


class Results(LineAnswers):
    """Knows how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.changed = Condition()

    def result(self, place: Any, result: Any) -> None:
        super().result(place, result)
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, 30)


class Screen:
    """Keeps what it was shown; `after` so many pictures, people have seen enough."""

    def __init__(self, after: int = 1000) -> None:
        self.after = after
        self.shown: list[Any] = []
        self.closed = False

    def show(self, picture: Any) -> bool:
        self.shown.append(picture)
        return len(self.shown) < self.after

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def follow(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Follows sources that are opened one after the other; what came of it."""

    def run(*sources: Any, screen: Any = None, reconnect: int = 0, timeout_s: float = 30) -> Any:
        left = iter(sources)

        def connect(source: str, *, timeout_s: float) -> Any:
            opened = next(left)
            if isinstance(opened, Exception):
                raise opened
            return opened

        waited: list[float] = []
        results = Results()

        def wait(self: Any, wait_s: float, over: Event) -> None:
            waited.append(wait_s)
            # A result that nobody has taken yet would give way to the next one.
            results.wait_for(sum(source.sent for source in sources if isinstance(source, Fake)))

        monkeypatch.setattr("edgeprep.runtime.live.sources.open_source", connect)
        monkeypatch.setattr("edgeprep.runtime.live.back_off.random", lambda: 0.0)
        monkeypatch.setattr("edgeprep.runtime.live.back_off.BackOff.wait", wait)
        options = LiveOptions(timeout_s=timeout_s, reconnect=reconnect)
        fault = None
        with package.open(bundle, probe=False) as session:
            capfd.readouterr()
            try:
                # As every command does.
                with events_on_stderr():
                    run_live(session, "rtsp://me:secret@cam/1", results, screen, options)
            except (FilmError, OutputError) as error:
                fault = error
        out, err = capfd.readouterr()
        labels = [json.loads(line)["label"] for line in out.splitlines()]
        return SimpleNamespace(labels=labels, stderr=err, waited=waited, fault=fault, out=out)

    return run


def test_results_come_until_the_source_ends(follow: Run) -> None:
    ended = follow(Fake(RED))
    assert (ended.labels, ended.fault) == (["red"], None)
    line = json.loads(ended.out)
    assert (line["picture"], line["frame"]) == ("rtsp://***@cam/1", 0)
    assert line["time_s"] >= 0


def test_what_is_on_screen_is_the_result_and_the_pace(follow: Run) -> None:
    screen = Screen()
    follow(Fake(GREEN), screen=screen)
    (shown,) = screen.shown
    assert shown.shape == (300, 400, 3)
    assert (shown[:200] == GREEN).all()
    assert shown[250:].max() > 200
    assert screen.closed


def test_people_who_close_the_window_have_seen_enough(follow: Run) -> None:
    forever = Event()
    screen = Screen(after=1)
    ended = follow(Fake(RED, forever), screen=screen)
    forever.set()
    assert (ended.labels, ended.fault, screen.closed) == (["red"], None, True)


def test_a_source_that_stalls_is_an_error(follow: Run) -> None:
    forever = Event()
    ended = follow(Fake(RED, forever), timeout_s=0.3)
    forever.set()
    assert ended.labels == ["red"]
    assert isinstance(ended.fault, StreamStalled)
    assert str(ended.fault) == "rtsp://***@cam/1: must send a picture within 0.3 s, got none"


def test_a_picture_without_a_finite_result_is_named_and_the_next_one_is_run(follow: Run) -> None:
    seen, screen = Event(), Screen()

    class Dark(Fake):
        def __iter__(self) -> Iterator[Any]:
            yield picture((0, 0, 0))
            assert seen.wait(30)
            yield picture(BLUE)

    source = Dark()
    complaints = []

    def complain(message: object) -> None:
        complaints.append(str(message))
        seen.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeprep.cli.running.refused.complain", complain)
        ended = follow(source, screen=screen)
    assert (ended.labels, len(screen.shown), len(complaints)) == (["blue"], 1, 1)
    assert complaints[0].startswith("rtsp://***@cam/1: session 'brightest': pictures[0]: output ")
    assert str(ended.fault) == (
        "rtsp://***@cam/1: all frames must have a finite result, got 1 that have none"
    )


def test_a_source_that_is_lost_is_tried_again_and_waits_grow(follow: Run) -> None:
    gone = FilmError("rtsp://***@cam/1: is gone")
    ended = follow(gone, gone, gone, reconnect=2)
    assert (ended.labels, ended.fault, ended.waited) == ([], gone, [1.0, 2.0])
    assert ended.stderr.splitlines() == [
        "edgeprep: rtsp://***@cam/1: is gone; trying again in 1 s, 1 of 2",
        "edgeprep: rtsp://***@cam/1: is gone; trying again in 2 s, 2 of 2",
    ]


def test_a_picture_makes_all_tries_new(follow: Run) -> None:
    gone = FilmError("cam: is gone")
    ended = follow(gone, Fake(RED), gone, Fake(BLUE), gone, gone, reconnect=2)
    assert (ended.labels, ended.fault) == (["red", "blue"], gone)
    # The end after red, and after blue, is a first fault again.
    assert ended.waited == [1, 1, 2, 1, 2]


def test_waits_do_not_grow_for_ever(follow: Run) -> None:
    gone = FilmError("cam: is gone")
    ended = follow(*[gone] * 8, reconnect=7)
    assert ended.waited == [1, 2, 4, 8, 16, 30, 30]


def test_a_stall_is_tried_again(follow: Run) -> None:
    forever = Event()
    ended = follow(Fake(RED, forever), Fake(BLUE), FilmError("x"), reconnect=1, timeout_s=0.3)
    forever.set()
    assert ended.labels == ["red", "blue"]
    assert ended.stderr.splitlines()[0] == (
        "edgeprep: rtsp://***@cam/1: must send a picture within 0.3 s, got none; "
        "trying again in 1 s, 1 of 1"
    )
    assert ended.stderr.splitlines()[1] == (
        "edgeprep: rtsp://***@cam/1: must go on sending, got its end; trying again in 1 s, 1 of 1"
    )


def test_pictures_that_come_too_fast_are_dropped_and_counted(
    follow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Event()
    streams: list[SourceStream] = []
    real = SourceStream.__init__

    def begin(self: SourceStream, *given: Any) -> None:
        real(self, *given)
        streams.append(self)

    class Fast(Fake):
        def __iter__(self) -> Iterator[Any]:
            yield picture(RED)
            assert first.wait(30)
            for color in (GREEN, GREEN, GREEN, BLUE):
                yield picture(color)

    class Slow(Screen):
        def show(self, picture: Any) -> bool:
            first.set()
            # All between gave way, wherever each was, and the last one is there.
            until = monotonic() + 30
            while streams[0].counts.dropped < 3:
                assert monotonic() < until
                sleep(0.002)
            return super().show(picture)

    monkeypatch.setattr(SourceStream, "__init__", begin)
    done: list[Any] = []
    monkeypatch.setattr(LineAnswers, "film", lambda self, film: done.append(film))
    ended = follow(Fast(), screen=Slow())
    assert ended.labels == ["red", "blue"]
    assert [(one.frames, one.dropped) for one in done] == [(2, 3)]


def test_a_film_is_followed_at_its_own_pace(edgeprep: Run, bundle: Path, film: Make) -> None:
    path = film("film.mp4", *[RED] * 15, *[BLUE] * 10)
    ended = edgeprep("run", bundle, "--camera", path, "--headless")
    assert ended.code == 0
    (line,) = ended.stdout.splitlines()
    frames, seconds = re.search(r"(\d+) frames in (\d+\.\d) s, ", line).groups()
    # 25 frames at ten a second, of which a busy machine may drop some.
    assert 2.4 <= float(seconds) < 20
    assert int(frames) <= 25
    told = [line for line in ended.stderr.splitlines() if line.startswith(f"edgeprep: {path}: ")]
    assert 1 <= len(told) <= 3
    for one in told:
        assert re.fullmatch(rf"edgeprep: {path}: {PACE}", one)


def test_live_results_come_as_rows(edgeprep: Run, bundle: Path, film: Make) -> None:
    path = film("film.mp4", RED, fps=10)
    ended = edgeprep("run", bundle, "--camera", path, "--headless", "--format", "csv")
    (row,) = csv.DictReader(StringIO(ended.stdout))
    assert (row["picture"], row["frame"], row["label"]) == (str(path), "0", "red")


def test_an_address_that_stalls_is_an_error_of_the_command(
    edgeprep: Run, bundle: Path, film: Make
) -> None:
    content = film("film.ts", *[RED] * 50).read_bytes()
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = "HTTP/1.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
                connection.sendall(head.encode() + content)
                over.wait(60)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/live.ts"
        words = ("run", bundle, address, "--headless", "--timeout", "1", "--format", "jsonl")
        ended = edgeprep(*words)
        over.set()
        thread.join(30)
    assert ended.code == 1
    assert json.loads(ended.stdout.splitlines()[0])["label"] == "red"
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {address}: must send a picture within 1 s, got none"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "--camera", "0"], "a live source: must be the only one, got 2 sources"),
        (["rtsp://a", "rtsp://b"], "a live source: must be the only one, got 2 sources"),
        (
            ["--camera", "0", "-o", "x"],
            "-o: must be absent for a live source, of which nothing is written, got 'x'",
        ),
        (
            ["--camera", "0", "--sheet"],
            "--sheet: must be absent for a live source, of which nothing is written, got it",
        ),
        (
            ["--camera", "0", "--timeout", "nan"],
            "Invalid value for '--timeout': must be finite, got 'nan'",
        ),
        (
            ["--camera", "0", "--timeout", "inf"],
            "Invalid value for '--timeout': inf is not in the range 0<x<=86400.",
        ),
        (
            ["--camera", "0", "--timeout", "1e300"],
            "Invalid value for '--timeout': 1e+300 is not in the range 0<x<=86400.",
        ),
        (["a.png", "--timeout", "3"], "--timeout: needs a live source, got none"),
        (["a.png", "--reconnect", "3"], "--reconnect: needs a live source, got none"),
        (["a.png", "--headless"], "--headless: needs a live source, got none"),
        (["a.png", "--categories", "x"], "--categories: needs --format coco, got 'text'"),
        (
            ["--camera", "0", "--format", "json"],
            "--format: must be one of 'text', 'jsonl' and 'csv' for a live source, got 'json'",
        ),
    ],
)
def test_wrong_usage_of_live_sources(
    edgeprep: Run, bundle: Path, words: list[str], message: str
) -> None:
    ended = edgeprep("run", bundle, *words)
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", f"{USAGE}Error: {message}\n")


def test_a_film_that_is_not_there_is_named(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("run", bundle, "--camera", "absent.mp4", "--headless", "--reconnect", "3")
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1] == (
        "edgeprep: absent.mp4: must be a file that can be read, got 'No such file or directory'"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("99", "camera 99: {opened}, got 'No such file or directory'"),
        ("-1", "-1: must be a file that can be read, got 'No such file or directory'"),
        (
            "absent.mp4",
            "absent.mp4: must be a file that can be read, got 'No such file or directory'",
        ),
        ("http://", "http://: must have a host, got none"),
    ],
)
def test_what_is_not_there_is_named_before_a_display_is_asked_for(
    edgeprep: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    ended = edgeprep("run", bundle, "--camera", source)
    opened = "must be a source of pictures that can be opened"
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == f"edgeprep: {message.format(opened=opened)}\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [("0", "camera 0"), ("a/film.mp4", "a/film.mp4"), ("rtsp://u:p@c", "rtsp://***@c")],
)
def test_sources_have_names(source: str, name: str) -> None:
    assert live_name(source) == name


def test_the_meter_forgets_what_is_long_ago() -> None:
    now = [50.0]
    meter = Meter(lambda: now[0])
    assert meter.line(0) == "0.0 frames/s, 0 dropped"
    for _ in range(10):
        now[0] += 0.1
        meter.add(now[0] - 0.02)
    # Ten in the first second.
    assert meter.line(3) == "10.0 frames/s, latency p50 20.0 ms, p90 20.0 ms, 3 dropped"
    now[0] += 5
    for latency in (0.01, 0.02, 0.03):
        now[0] += 0.5
        meter.add(now[0] - latency)
    assert meter.line(3) == "1.5 frames/s, latency p50 20.0 ms, p90 28.0 ms, 3 dropped"


WINDOWS = "showing live pictures needs "


def test_without_a_display_the_other_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    message = (
        rf"^{WINDOWS}a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; pass --headless$"
    )
    with pytest.raises(BackendUnavailable, match=message):
        open_window("live")


def test_without_opencv_the_other_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setitem(sys.modules, "cv2", None)
    message = (
        rf"^{WINDOWS}OpenCV, which is not installed; pip install opencv-python, or pass --headless$"
    )
    with pytest.raises(BackendUnavailable, match=message):
        open_window("live")


def test_an_opencv_without_windows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setenv("DISPLAY", ":77")

    def none(*arguments: object) -> None:
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", none)
    message = (
        rf"^{WINDOWS}an OpenCV that has windows, and this one has not; "
        r"pip install opencv-python in the place of opencv-python-headless, or pass --headless$"
    )
    with pytest.raises(BackendUnavailable, match=message):
        open_window("live")


@pytest.mark.parametrize(
    ("key", "visible", "more"),
    [(-1, 1.0, True), (ord("q"), 1.0, False), (27, 1.0, False), (-1, 0.0, False), (97, 1.0, True)],
)
def test_a_window_shows_blue_first_and_listens_to_keys(
    monkeypatch: pytest.MonkeyPatch, key: int, visible: float, more: bool
) -> None:
    shown: list[Any] = []
    fake = SimpleNamespace(
        error=RuntimeError,
        namedWindow=lambda *arguments: None,
        imshow=lambda name, picture: shown.append(picture),
        waitKey=lambda ms: key,
        getWindowProperty=lambda name, what: visible,
        destroyAllWindows=lambda: shown.append("closed"),
    )
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setitem(sys.modules, "cv2", fake)
    window = open_window("live")
    assert window.show(picture((1, 2, 3))) is more
    window.close()
    assert shown[0][0, 0].tolist() == [3, 2, 1]
    assert shown[1] == "closed"


def test_tries_may_be_as_many_as_one_likes(follow: Run) -> None:
    ended = follow(*[FilmError("gone")] * 1100, reconnect=1099)
    assert (str(ended.fault), ended.waited[-1]) == ("gone", 30)


def test_another_size_is_another_film(follow: Run) -> None:
    class Turned(Fake):
        def __iter__(self) -> Iterator[Any]:
            for color, size in ((RED, (300, 400)), (BLUE, (400, 300)), (GREEN, (400, 300))):
                pictures.append(np.full((*size, 3), color, np.uint8))
                yield pictures[-1]
                # Until it was taken, that none is dropped.
                assert seen.acquire(timeout=30)

    class Watching(Screen):
        def show(self, picture: Any) -> bool:
            seen.release()
            return super().show(picture)

    pictures: list[Any] = []
    seen = Semaphore(0)
    assert follow(Turned(), screen=Watching()).labels == ["red", "blue", "green"]
