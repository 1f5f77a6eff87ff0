"""Sources that are lost and come back: when they are tried again, and what is told of it."""

import re
from collections.abc import Callable
from threading import Event
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import (
    BackendUnavailable,
    DTypeError,
    FilmError,
    ImageTooLarge,
    InputError,
    ShapeError,
    StreamStalled,
)
from edgeprep.films.reading import Reading
from edgeprep.runtime import Session
from edgeprep.runtime.live.back_off import BackOff
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.tensors import ImageSpec

Pixels = NDArray[np.uint8]
Open = Callable[..., Session]
Level = Callable[[Any], float | None]

PATIENCE_S = 30.0


def gone() -> FilmError:
    return FilmError("camera 0: is gone")


class OfBytes:
    """A path that is one of bytes."""

    def __fspath__(self) -> bytes:
        return b"film.mp4"


def test_a_camera_that_is_not_there_is_an_error_at_once(
    open_session: Open, cameras: SimpleNamespace
) -> None:
    cameras.put(gone())
    with (
        open_session().stream(0) as stream,
        pytest.raises(FilmError, match=r"^camera 0: is gone$"),
    ):
        next(stream)
    assert cameras.waited == []


def test_a_camera_that_has_sent_is_tried_for_ever(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    cameras.put(cameras.Script(7, gone()), *[gone() for _ in range(9)], cameras.Script(8, Event()))
    session = open_session()
    with session.stream(0, policy="every") as stream:
        assert [level(next(stream)), level(next(stream))] == [7, 8]
        assert stream.counts.connected == 11
    assert cameras.waited == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    messages = [event.message for event in session.events.kept]
    assert messages[0] == "camera 0: is gone; trying again in 1 s"
    assert messages[-1] == "camera 0: sends again, after 10 new tries"
    assert [event.details["state"] for event in session.events.kept] == ["lost"] * 10 + ["back"]


def test_a_camera_that_may_be_absent_is_tried_from_the_beginning(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    cameras.put(gone(), gone(), cameras.Script(7, Event()))
    with open_session().stream(0, reconnect="always") as stream:
        assert level(next(stream)) == 7
    assert cameras.waited == [1, 2]


def test_tries_in_a_row_are_counted(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    cameras.put(gone(), cameras.Script(7), gone(), gone())
    with open_session().stream(0, reconnect=2, policy="every") as stream:
        assert level(next(stream)) == 7
        with pytest.raises(FilmError, match=r"^camera 0: is gone$"):
            next(stream)
    # After the first, and anew after the end of the second connection.
    assert cameras.waited == [1, 1, 2]


def test_the_end_of_a_source_is_its_end_where_nobody_wants_more(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    cameras.put(cameras.Script(7, 8))
    with open_session().stream(0, reconnect=0, policy="every") as stream:
        assert [level(answer) for answer in stream] == [7, 8]


@pytest.mark.parametrize("reconnect", [None, 3, "always"])
def test_a_film_that_has_come_to_its_end_is_not_opened_again(
    open_session: Open, cameras: SimpleNamespace, level: Level, reconnect: Any
) -> None:
    film = cameras.Script(7, 8)
    film.is_whole = True
    cameras.put(film)
    session = open_session()
    with session.stream("http://films/1.mp4", reconnect=reconnect, policy="every") as stream:
        assert [level(answer) for answer in stream] == [7, 8]
        assert stream.counts.connected == 1
    assert session.events.kept == ()


@pytest.mark.parametrize("source", [0, "rtsp://camera/1"])
def test_stages_over_time_go_by_when_pictures_came(
    open_session: Open,
    cameras: SimpleNamespace,
    level: Level,
    monkeypatch: pytest.MonkeyPatch,
    source: Any,
) -> None:
    came = [70.0, 70.1, 70.25, 70.3, 70.45, 70.5, 71.3, 71.35, 71.45]
    clock = iter(came)
    monkeypatch.setattr("edgeprep.films.reading.monotonic", lambda: next(clock))
    cameras.put(cameras.Script(*range(len(came))))
    session = open_session(Frames(rate=5.0))
    with session.stream(source, policy="every", reconnect=0) as stream:
        answers = list(stream)
    assert [answer.arrived_s for answer in answers] == came
    assert [answer.time_s for answer in answers] == pytest.approx([at - 70.0 for at in came])
    # Due after 0, 0.2, 0.4, 0.6 and 1.4 seconds.
    assert [answer.index for answer in answers if level(answer) is not None] == [0, 2, 4, 6, 8]


def test_another_connection_is_another_film_and_numbers_go_on(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    cameras.put(cameras.Script(10, 30), cameras.Script(80, 81, Event()))
    with open_session(FrameDifference()).stream(0, policy="every") as stream:
        answers = [next(stream) for _ in range(4)]
    assert [level(answer) for answer in answers] == [0, 20, 0, 1]
    assert [answer.index for answer in answers] == [0, 1, 2, 3]
    times = [answer.time_s for answer in answers]
    assert times[0] == 0
    assert times == sorted(set(times))


def test_a_source_that_stalls_is_named_in_time_and_counted(
    open_session: Open, cameras: SimpleNamespace
) -> None:
    cameras.put(cameras.Script(7, Event()))
    with open_session().stream(0, timeout_s=0.2, reconnect=0) as stream:
        next(stream)
        began = monotonic()
        message = r"^camera 0: must send a picture within 0\.2 s, got none$"
        with pytest.raises(StreamStalled, match=message):
            next(stream)
        assert monotonic() - began < 5
        assert stream.counts.stalled == 1


def test_a_stall_ends_when_the_source_comes_back(
    open_session: Open, cameras: SimpleNamespace, level: Level
) -> None:
    stalled = cameras.Script(7, Event())
    cameras.put(stalled, cameras.Script(8, Event()))
    with open_session().stream(0, timeout_s=0.2, policy="every") as stream:
        assert [level(next(stream)), level(next(stream))] == [7, 8]
        # A camera that is still held cannot be opened anew.
        assert stalled.closed.is_set()


def test_drivers_that_hang_are_not_piled_up(
    open_session: Open, cameras: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(cameras.Script):  # type: ignore[misc, name-defined]
        def stop(self) -> None:
            pass

    monkeypatch.setattr("edgeprep.films.reading._GOODBYE_S", 0.01)
    forever = Event()
    cameras.put(*[Hanging(7, forever) for _ in range(20)])
    with open_session().stream(0, timeout_s=0.05, reconnect=6, policy="every") as stream:
        heard = [next(stream).index for _ in range(4)]
        message = r"^camera 0: must let go of what was read of it, got 4 connections that hang$"
        with pytest.raises(FilmError, match=message):
            next(stream)
        assert stream.counts.connected == 4
    forever.set()
    assert heard == [0, 1, 2, 3]


def test_counts_do_not_go_back_while_a_source_is_let_go_of(
    open_session: Open, cameras: SimpleNamespace, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = Reading.close

    def close(self: Reading, patience_s: float | None = None) -> None:
        real(self, patience_s)
        seen.append(stream.counts.arrived)

    monkeypatch.setattr(Reading, "close", close)
    begun = Event()
    cameras.put(cameras.Script(begun, 1, 2, 3), cameras.Script(4, Event()))
    with open_session().stream(0, policy="every") as stream:
        begun.set()
        assert [level(next(stream)) for _ in range(4)] == [1, 2, 3, 4]
        assert stream.counts.arrived == 4
    assert seen[0] == 3


def test_faults_that_do_not_pass_are_not_tried_again(
    open_session: Open, cameras: SimpleNamespace
) -> None:
    cameras.put(cameras.Script(7, ImageTooLarge("camera 0: must have at most 1 pixels, got 2")))
    with open_session().stream(0, policy="every") as stream:
        next(stream)
        with pytest.raises(ImageTooLarge, match=r"^camera 0: must have at most 1 pixels, got 2$"):
            next(stream)
    assert cameras.waited == []


def test_a_stream_that_is_closed_while_its_source_is_away_ends_at_once(
    open_session: Open, cameras: SimpleNamespace
) -> None:
    cameras.go_on.clear()
    cameras.put(cameras.Script(7), cameras.Script(8))
    stream = open_session().stream(0)
    next(stream)
    while not cameras.waited:
        sleep(0.001)
    began = monotonic()
    stream.close()
    assert monotonic() - began < 1
    assert list(stream) == []
    assert stream.counts.connected == 1


def test_waits_are_up_to_a_quarter_longer_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.0, 0.5, 1.0])
    monkeypatch.setattr("edgeprep.runtime.live.back_off.random", lambda: next(chances))
    back_off = BackOff()
    assert [back_off.next_s() for _ in range(3)] == [1.0, 2.25, 5.0]
    assert back_off.tries == 3


def test_two_devices_do_not_wait_equally_long() -> None:
    one, other = BackOff(), BackOff()
    assert [one.next_s() for _ in range(8)] != [other.next_s() for _ in range(8)]


def test_pictures_come_in_the_colours_that_the_session_takes(
    open_session: Open, cameras: SimpleNamespace
) -> None:
    class Red(cameras.Script):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Any:
            picture = np.zeros((4, 4, 3), np.uint8)
            picture[..., 0] = 200
            yield picture

    cameras.put(Red())
    with open_session(image=ImageSpec(color="bgr")).stream(0, reconnect=0) as stream:
        (answer,) = list(stream)
    assert answer.result.arrays[0].ravel().tolist() == [0, 0, 200]
    # People look at it in RGB.
    assert answer.picture[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    ("source", "given", "error", "message"),
    [
        (-1, {}, InputError, "source: a camera's number must be whole and from 0, got -1"),
        (True, {}, InputError, "source: a camera's number must be whole and from 0, got True"),
        (
            None,
            {"policy": "every"},
            DTypeError,
            (
                "source: must be a camera's number, an address, the path of a film, or pictures, "
                "got 'NoneType'"
            ),
        ),
        (
            np.zeros((4, 4, 3), np.uint8),
            {"policy": "every"},
            ShapeError,
            "pictures: must have shape (N, H, W, C), got (4, 4, 3); one picture goes to session()",
        ),
        (
            0,
            {"policy": "newset"},
            InputError,
            "policy: must be one of None, 'newest', 'every', got 'newset'",
        ),
        (
            "a.mp4",
            {"playlists": "yes"},
            InputError,
            "playlists: must be one of 'refuse', 'follow', got 'yes'",
        ),
        (0, {"queue": 0}, InputError, "queue: must be a whole number from 1, got 0"),
        (0, {"timeout_s": 0}, InputError, "timeout_s: must be above 0 and at most 86400, got 0"),
        (
            0,
            {"timeout_s": float("inf")},
            InputError,
            "timeout_s: must be above 0 and at most 86400, got inf",
        ),
        (
            0,
            {"timeout_s": 86401},
            InputError,
            "timeout_s: must be above 0 and at most 86400, got 86401",
        ),
        (
            0,
            {"timeout_s": 10**400},
            InputError,
            f"timeout_s: must be above 0 and at most 86400, got {10**400}",
        ),
        ("http://", {}, FilmError, "http://: must have a host, got none"),
        (
            0,
            {"reconnect": -1},
            InputError,
            "reconnect: must be a whole number from 0, 'always' or None, got -1",
        ),
        (
            0,
            {"fps": 5.0},
            InputError,
            (
                "fps: must be absent for a camera, an address or a film, which have times of their "
                "own, got 5.0"
            ),
        ),
        (
            "file:///etc/passwd",
            {},
            FilmError,
            (
                "file:///etc/passwd: must begin with one of 'http', 'https', 'rtmp', 'rtmps', "
                "'rtp', 'rtsp', 'rtsps', 'srt', 'tcp', 'udp', got 'file'"
            ),
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_before_any_thread(
    open_session: Open, source: Any, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as refused:
        open_session().stream(source, **given)
    assert str(refused.value) == message


@pytest.mark.parametrize("given", [{}, {"policy": "every"}], ids=["plain", "with threads"])
@pytest.mark.parametrize(
    ("source", "error", "got"),
    [
        (None, DTypeError, "'NoneType'"),
        (5.0, DTypeError, "'float'"),
        (object(), DTypeError, "'object'"),
        ({}, DTypeError, "'dict'"),
        (b"film.mp4", DTypeError, "'bytes'"),
        (bytearray(b"film.mp4"), DTypeError, "'bytearray'"),
        (memoryview(b"film.mp4"), DTypeError, "'memoryview'"),
        (OfBytes(), DTypeError, "'bytes'"),
        ("", InputError, "''"),
    ],
)
def test_what_is_no_source_is_told_what_is_one(
    open_session: Open, source: Any, error: type[Exception], got: str, given: dict[str, Any]
) -> None:
    with pytest.raises(error) as refused:
        open_session().stream(source, **given)
    rule = "source: must be a camera's number, an address, the path of a film, or pictures"
    assert str(refused.value) == f"{rule}, got {got}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queue": -1}, "queue: must be a whole number from 1, got -1"),
        ({"timeout_s": -1}, "timeout_s: must be above 0 and at most 86400, got -1"),
        ({"timeout_s": True}, "timeout_s: must be above 0 and at most 86400, got True"),
        (
            {"reconnect": "x"},
            "reconnect: must be a whole number from 0, 'always' or None, got 'x'",
        ),
        ({"playlists": "yes"}, "playlists: must be one of 'refuse', 'follow', got 'yes'"),
        (
            {"policy": np.array([1, 2])},
            "policy: must be one of None, 'newest', 'every', got array([1, 2])",
        ),
        (
            {"reconnect": np.array([1, 2])},
            "reconnect: must be a whole number from 0, 'always' or None, got array([1, 2])",
        ),
        (
            {"clock": 0},
            "clock: must be None or give the time in seconds when it is called, got 0",
        ),
        (
            {"clock": "x"},
            "clock: must be None or give the time in seconds when it is called, got 'x'",
        ),
    ],
)
def test_arguments_are_checked_where_nothing_is_followed_too(
    open_session: Open, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        open_session().stream([np.zeros((4, 4, 3), np.uint8)], **given)


def test_without_pyav_the_extra_is_named(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("edgeprep.films._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    message = r"^reading films needs PyAV, which is not installed; pip install edgeprep\[video\]$"
    with pytest.raises(BackendUnavailable, match=message):
        open_session().stream(0)
