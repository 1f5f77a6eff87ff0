"""Streams that threads work out: in order, at the same time, bounded, each for itself."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import nan
from time import sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import BackendError, DTypeError, FilmError, InputError
from edgeprep.runtime import Session
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.stages.stream import Stream

Pixels = NDArray[np.uint8]
Open = Callable[..., Session]
Grey = Callable[..., Pixels]
Level = Callable[[Any], float | None]
Wait = Callable[[Callable[[], bool]], None]

PATIENCE_S = 30.0


def test_every_picture_has_an_answer_in_its_place(
    open_session: Open, grey: Grey, level: Level
) -> None:
    pictures = [grey(value) for value in (10, 30, 20, 40, 25)]
    with open_session().stream(pictures, policy="every", fps=10.0) as stream:
        answers = list(stream)
    assert [answer.index for answer in answers] == [0, 1, 2, 3, 4]
    assert [level(answer) for answer in answers] == [10, 30, 20, 40, 25]
    assert [answer.time_s for answer in answers] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [int(answer.picture[0, 0, 0]) for answer in answers] == [10, 30, 20, 40, 25]
    counts = stream.counts
    assert (counts.arrived, counts.answered, counts.connected) == (5, 5, 1)
    assert (counts.dropped, counts.failed, counts.waiting, counts.stalled) == (0, 0, 0, 0)


def test_a_camera_that_writes_into_one_picture_is_copied(
    open_session: Open, grey: Grey, level: Level
) -> None:
    def camera() -> Iterator[Pixels]:
        picture = grey(0)
        for value in range(40):
            picture[:] = value
            yield picture

    with open_session().stream(camera(), policy="every", queue=8) as stream:
        assert [level(answer) for answer in stream] == list(range(40))


def test_capture_preprocessing_and_network_work_at_the_same_time(
    open_session: Open, grey: Grey, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each waits for the two others: if they took turns, it would be for ever.
    meeting = threading.Barrier(3, timeout=PATIENCE_S)

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        yield grey(2)
        meeting.wait()
        yield grey(3)

    class Network(fakes.Right):  # type: ignore[misc, name-defined]
        def compute(self, image: Pixels) -> Any:
            if image.flat[0] == 1:
                meeting.wait()
            return super().compute(image)

    def prepare(self: Stream, picture: Pixels, time_s: float | None = None) -> Pixels:
        if picture.flat[0] == 2:
            meeting.wait()
        return picture[None]

    monkeypatch.setattr(Stream, "prepare", prepare)
    with open_session(backend=Network()).stream(camera(), policy="every") as stream:
        assert len(list(stream)) == 3


def test_with_every_picture_no_more_wait_than_may(
    open_session: Open, wait_until: Wait, grey: Grey
) -> None:
    given = []

    def camera() -> Iterator[Pixels]:
        for value in range(100):
            given.append(value)
            yield grey(value)

    with open_session().stream(camera(), policy="every", queue=2) as stream:
        wait_until(lambda: stream.counts.waiting == 6)
        sleep(0.05)
        # Two in each of three places, and one in the hands of whoever reads, and of who answers.
        assert stream.counts.waiting == 6
        assert len(given) == 8
        assert len(list(stream)) == 100
    assert stream.counts.dropped == 0


def test_who_takes_answers_slowly_gets_the_newest(
    open_session: Open, wait_until: Wait, grey: Grey, level: Level
) -> None:
    seen = threading.Event()

    def camera() -> Iterator[Pixels]:
        for value in range(10):
            yield grey(value)
        assert seen.wait(PATIENCE_S)

    session = open_session()
    with session.stream(camera(), policy="newest") as stream:
        wait_until(lambda: stream.counts.dropped == 9)
        answer = next(stream)
        seen.set()
        assert (level(answer), answer.index) == (9, 9)
        assert list(stream) == []
    assert (stream.counts.arrived, stream.counts.dropped) == (10, 9)
    assert session.meter.pictures_dropped == 9


def test_an_answer_is_at_most_two_pictures_old_however_slowly_it_is_taken(
    open_session: Open, wait_until: Wait, grey: Grey, fakes: SimpleNamespace
) -> None:
    begun = threading.Semaphore(0)

    class Network(fakes.Right):  # type: ignore[misc, name-defined]
        def compute(self, image: Pixels) -> Any:
            begun.release()
            return super().compute(image)

    def camera() -> Iterator[Pixels]:
        while True:
            yield grey(7)
            # Of a network that keeps up, whatever else this machine does.
            assert begun.acquire(timeout=PATIENCE_S)

    with open_session(backend=Network()).stream(camera(), policy="newest") as stream:
        for taken in range(1, 6):
            wait_until(lambda: stream.counts.arrived >= 8 * taken)  # noqa: B023
            newest = stream.counts.arrived - 1
            assert newest - next(stream).index <= 2
        # Five were taken, and so many at most are under way.
        assert stream.counts.dropped >= 40 - 5 - 5
        begun.release(1000)


def test_what_gave_way_last_is_counted_too(
    open_session: Open, wait_until: Wait, grey: Grey
) -> None:
    answered = threading.Event()

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        assert answered.wait(PATIENCE_S)
        yield grey(2)

    session = open_session()
    with session.stream(camera(), policy="newest") as stream:
        wait_until(lambda: stream.counts.answered == 1)
        answered.set()
        # Nobody has taken the first answer, and nothing comes after the second.
        wait_until(lambda: stream.counts.dropped == 1)
        assert [answer.index for answer in stream] == [1]
    assert session.meter.pictures_dropped == 1


def test_a_picture_without_a_result_takes_no_place(
    open_session: Open, wait_until: Wait, grey: Grey, level: Level
) -> None:
    answered, seen = threading.Semaphore(0), threading.Event()

    def camera() -> Iterator[Pixels]:
        for value in range(10, 15):
            yield grey(value)
            # That none is dropped before.
            assert answered.acquire(timeout=PATIENCE_S)
        assert seen.wait(PATIENCE_S)

    with open_session(Frames(every=3)).stream(camera(), policy="newest") as stream:
        for count in range(1, 6):
            wait_until(lambda: stream.counts.answered == count)  # noqa: B023
            answered.release()
        answer = next(stream)
        seen.set()
        # The fourth, and not the fifth, which the stage drops.
        assert (answer.index, level(answer)) == (3, 13)


def test_a_picture_that_is_none_is_an_error_in_its_place_and_the_next_one_is_answered(
    open_session: Open, grey: Grey, level: Level
) -> None:
    pictures = [grey(1), grey(2).astype(np.float32), grey(3)]
    with open_session().stream(pictures, policy="every") as stream:
        assert level(next(stream)) == 1
        with pytest.raises(
            DTypeError, match=r"^picture: must have dtype uint8, .* got 'float32'; "
        ):
            next(stream)
        assert level(next(stream)) == 3
        assert list(stream) == []
    assert (stream.counts.answered, stream.counts.failed) == (3, 1)


def test_an_engine_that_fails_is_an_error_in_its_place(
    open_session: Open, grey: Grey, fakes: SimpleNamespace
) -> None:
    class Once(fakes.Right):  # type: ignore[misc, name-defined]
        def compute(self, image: Pixels) -> Any:
            if image.flat[0] == 2:
                raise BackendError("once: must run, got a fault")
            return super().compute(image)

    pictures = [grey(value) for value in (1, 2, 3)]
    with open_session(backend=Once()).stream(pictures, policy="every") as stream:
        next(stream)
        with pytest.raises(BackendError, match=r"^once: must run, got a fault$"):
            next(stream)
        assert next(stream).index == 2


def test_what_the_pictures_raise_comes_after_the_last_of_them_and_is_the_end(
    open_session: Open, grey: Grey
) -> None:
    def camera() -> Iterator[Pixels]:
        yield grey(1)
        raise FilmError("camera: is gone")

    session = open_session()
    with session.stream(camera(), policy="every") as stream:
        assert next(stream).index == 0
        with pytest.raises(FilmError, match=r"^camera: is gone$"):
            next(stream)
        assert list(stream) == []
    (event,) = session.events.kept
    assert (event.kind, event.message) == ("stream", "camera: is gone")
    assert event.details == {"source": "pictures", "state": "over"}


def test_streams_at_once_on_one_session_remember_their_own(
    open_session: Open, grey: Grey, level: Level
) -> None:
    session = open_session(FrameDifference())
    film = [grey(value) for value in (10, 30, 30, 25)]
    with (
        session.stream(film, policy="every") as one,
        session.stream(film[::-1], policy="every") as other,
    ):
        pairs = [(level(a), level(b)) for a, b in zip(one, other, strict=True)]
    assert pairs == [(0, 0), (20, 5), (0, 0), (5, 20)]


def test_many_streams_share_one_engine(open_session: Open, grey: Grey, level: Level) -> None:
    session = open_session(FrameDifference())
    films = [[grey(start + step * step) for step in range(12)] for start in range(8)]
    streams = [session.stream(film, policy="every") for film in films]
    for stream in streams:
        assert [level(answer) for answer in stream] == [0, *range(1, 23, 2)]
        stream.close()


def test_reset_begins_another_film(open_session: Open, grey: Grey, level: Level) -> None:
    go_on = threading.Event()

    def camera() -> Iterator[Pixels]:
        yield grey(10)
        yield grey(30)
        assert go_on.wait(PATIENCE_S)
        yield grey(80)
        yield grey(81)

    with open_session(FrameDifference()).stream(camera(), policy="every") as stream:
        assert [level(next(stream)), level(next(stream))] == [0, 20]
        stream.reset()
        go_on.set()
        assert [level(answer) for answer in stream] == [0, 1]


def test_reset_before_the_first_picture_forgets_nothing_after_it(
    open_session: Open, grey: Grey, level: Level
) -> None:
    go_on = threading.Event()

    def camera() -> Iterator[Pixels]:
        assert go_on.wait(PATIENCE_S)
        yield from (grey(10), grey(30), grey(45))

    with open_session(FrameDifference()).stream(camera(), policy="every") as stream:
        stream.reset()
        go_on.set()
        assert [level(answer) for answer in stream] == [0, 20, 15]


def test_errors_of_a_stream_are_counted_by_their_class(open_session: Open, grey: Grey) -> None:
    def camera() -> Iterator[Any]:
        yield grey(1)
        yield "no picture"
        raise FilmError("camera: is gone")

    session = open_session()
    stream = session.stream(camera(), policy="every")
    stream.follow(lambda answer: None, fault=lambda error: None)
    assert stream.join(PATIENCE_S)
    assert session.meter.errors == {"DTypeError": 1, "FilmError": 1}
    with pytest.raises(ZeroDivisionError, match=r"^integer division or modulo by zero$"):
        list(session.stream((1 // value for value in (0,)), policy="every"))  # type: ignore[misc]  # that is the test
    assert session.meter.errors == {"DTypeError": 1, "FilmError": 1, "ZeroDivisionError": 1}


def test_a_clock_that_knows_no_time_is_an_error_of_its_picture_and_the_end(
    open_session: Open, grey: Grey
) -> None:
    times = iter([100.0, nan])
    pictures = [grey(value) for value in range(5)]
    with open_session().stream(pictures, policy="every", clock=lambda: next(times)) as stream:
        assert next(stream).time_s == 0
        message = r"^pictures\[1\]: clock must give finite seconds, got nan$"
        with pytest.raises(InputError, match=message):
            next(stream)
        assert list(stream) == []


def test_another_size_is_another_film(open_session: Open, grey: Grey, level: Level) -> None:
    pictures = [grey(10), grey(30), grey(50, (6, 8)), grey(51, (6, 8)), grey(90)]
    with open_session(FrameDifference()).stream(pictures, policy="every") as stream:
        assert [level(answer) for answer in stream] == [0, 20, 0, 1, 0]


def test_times_grow_though_a_clock_goes_back(open_session: Open, grey: Grey) -> None:
    times = iter([100.0, 100.5, 3.0, 3.5, 3.5])
    pictures = [grey(value) for value in range(5)]
    with open_session().stream(pictures, policy="every", clock=lambda: next(times)) as stream:
        stamps = [answer.time_s for answer in stream]
    assert stamps == pytest.approx([0, 0.5, 0.5, 1.0, 1.0], abs=1e-5)
    assert all(a < b for a, b in pairwise(stamps))
