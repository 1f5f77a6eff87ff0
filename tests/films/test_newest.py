"""The newest picture wins, and a source that stalls is an error."""

from collections.abc import Iterator
from threading import Event, Timer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import FilmError, StreamStalled
from edgeprep.films import FilmFrame
from edgeprep.films.newest import Newest
from edgeprep.films.played import Played

Pixels = NDArray[np.uint8]


def picture(level: int) -> Pixels:
    return np.full((2, 3, 3), level, np.uint8)


class Fake:
    """Sends pictures of these levels; where it meets an event, it waits for it."""

    is_whole = False

    def __init__(self, *script: int | Event | Exception) -> None:
        self.script = script
        self.closed = Event()

    def __iter__(self) -> Iterator[Pixels]:
        for step in self.script:
            if isinstance(step, Event):
                assert step.wait(30)
            elif isinstance(step, Exception):
                raise step
            else:
                yield picture(step)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed.set()


def watch(source: Any, timeout_s: float | None = 30.0) -> Newest:
    return Newest(lambda: source, name="fake", timeout_s=timeout_s)


def level(taken: Any) -> int:
    return int(taken.picture[0, 0, 0])


def test_pictures_that_nobody_took_in_time_are_dropped_and_counted() -> None:
    sent, go_on = Event(), Event()

    class Marking(Fake):
        def __iter__(self) -> Iterator[Pixels]:
            yield from (picture(each) for each in (1, 2, 3))
            # The third is kept when the next one is asked for.
            sent.set()
            assert go_on.wait(30)
            yield picture(4)

    with watch(Marking()) as newest:
        assert sent.wait(30)
        assert (level(newest.take()), newest.dropped) == (3, 2)
        go_on.set()
        assert (level(newest.take()), newest.dropped) == (4, 2)
        assert newest.take() is None


def test_the_last_picture_comes_before_the_end() -> None:
    source = Fake(7)
    newest = watch(source)
    assert source.closed.wait(30)
    assert level(newest.take()) == 7
    assert newest.take() is None


def test_the_last_picture_comes_before_the_fault() -> None:
    source = Fake(7, FilmError("fake: is gone"))
    newest = watch(source)
    assert source.closed.wait(30)
    assert level(newest.take()) == 7
    with pytest.raises(FilmError, match=r"^fake: is gone$"):
        newest.take()


def test_a_source_that_stalls_is_an_error() -> None:
    forever = Event()
    with watch(Fake(1, forever), timeout_s=0.2) as newest:
        assert level(newest.take()) == 1
        message = r"^fake: must send a picture within 0\.2 s, got none$"
        with pytest.raises(StreamStalled, match=message):
            newest.take()
    forever.set()


def test_a_source_that_cannot_even_be_opened_in_time_is_an_error() -> None:
    forever = Event()

    def connect() -> Any:
        assert forever.wait(30)
        return Fake()

    with (
        Newest(connect, name="slow", timeout_s=0.2) as newest,
        pytest.raises(StreamStalled, match=r"^slow: must send a picture within 0\.2 s, got none$"),
    ):
        newest.take()
    forever.set()


def test_a_source_that_cannot_be_opened_says_why() -> None:
    def connect() -> Any:
        raise FilmError("fake: there is none")

    newest = Newest(connect, name="fake", timeout_s=30)
    with pytest.raises(FilmError, match=r"^fake: there is none$"):
        newest.take()


def test_a_source_is_closed_after_its_next_picture() -> None:
    go_on = Event()
    source = Fake(1, go_on, 2, 3)
    with watch(source) as newest:
        newest.take()
    go_on.set()
    assert source.closed.wait(30)


class Film:
    def __init__(self) -> None:
        self.is_closed = False

    def __iter__(self) -> Iterator[FilmFrame]:
        for index in range(4):
            yield FilmFrame(index, index * 0.1, picture(index))

    def close(self) -> None:
        self.is_closed = True


def test_a_film_is_played_at_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    waited = []
    film = Film()
    played = Played(film)
    monkeypatch.setattr("edgeprep.films.played.monotonic", lambda: now[0])
    monkeypatch.setattr(played._stopped, "wait", waited.append)
    seen = []
    for each in played:
        seen.append(int(each[0, 0, 0]))
        now[0] += 0.15
    assert seen == [0, 1, 2, 3]
    # Whoever takes longer than a frame lasts waits for none.
    assert waited == pytest.approx([0.0, 0.0, 0.0, 0.0])
    now[0] = 100.0
    waited.clear()
    list(played)
    assert waited == pytest.approx([0.0, 0.1, 0.2, 0.3])
    played.close()
    assert film.is_closed


def test_a_file_may_show_a_picture_for_as_long_as_it_likes() -> None:
    go_on = Event()
    with watch(Fake(1, go_on, 2), timeout_s=None) as newest:
        assert level(newest.take()) == 1
        Timer(0.3, go_on.set).start()
        assert level(newest.take()) == 2


def test_a_film_that_is_stopped_waits_for_nothing() -> None:
    film = Film()
    played = Played(film)
    pictures = iter(played)
    next(pictures)
    played.stop()
    assert list(pictures) == []
