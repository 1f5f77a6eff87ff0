"""Every picture of a source, which waits for whoever takes them."""

from collections.abc import Iterator
from threading import Event
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import FilmError, StreamStalled
from edgeprep.films.every import Every

PATIENCE_S = 30.0


class Source:
    """Sends pictures of growing levels, as many as there are, and then what is to come."""

    is_whole = False

    def __init__(self, count: int, then: Event | Exception | None = None) -> None:
        self.count = count
        self.then = then
        self.sent = 0
        self.closed = Event()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for level in range(self.count):
            self.sent += 1
            yield np.full((2, 3, 3), level, np.uint8)
        if isinstance(self.then, Exception):
            raise self.then
        if self.then is not None:
            assert self.then.wait(PATIENCE_S)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed.set()


def read(source: Any, most: int = 3, timeout_s: float | None = PATIENCE_S) -> Every:
    return Every(lambda: source, name="source", timeout_s=timeout_s, most=most)


def level(taken: Any) -> int:
    return int(taken.picture[0, 0, 0])


def test_none_is_dropped_and_the_source_waits() -> None:
    source = Source(50)
    with read(source, most=3) as every:
        until = monotonic() + PATIENCE_S
        while source.sent < 4:
            assert monotonic() < until
            sleep(0.002)
        sleep(0.05)
        # Three that wait, and one in the hand of the source.
        assert (source.sent, every.waiting) == (4, 3)
        taken = [every.take() for _ in range(50)]
        assert every.take() is None
    assert [level(one) for one in taken] == list(range(50))
    assert [one.index for one in taken if one is not None] == list(range(50))
    assert (every.arrived, every.dropped) == (50, 0)


def test_the_fault_comes_after_the_last_picture() -> None:
    with read(Source(2, FilmError("source: is gone"))) as every:
        assert [level(every.take()), level(every.take())] == [0, 1]
        with pytest.raises(FilmError, match=r"^source: is gone$"):
            every.take()


def test_a_source_that_stalls_is_an_error_and_one_that_must_wait_is_none() -> None:
    forever = Event()
    with read(Source(5, forever), most=2, timeout_s=0.2) as every:
        # For longer than the source may be silent: it has more to send.
        sleep(0.4)
        assert [level(every.take()) for _ in range(5)] == [0, 1, 2, 3, 4]
        message = r"^source: must send a picture within 0\.2 s, got none$"
        with pytest.raises(StreamStalled, match=message):
            every.take()
    forever.set()


def test_a_source_that_waits_for_room_is_let_go_of_at_once() -> None:
    source = Source(50)
    every = read(source, most=1)
    every.take()
    began = monotonic()
    every.close()
    assert source.closed.wait(PATIENCE_S)
    assert monotonic() - began < 1
    assert not every.is_alive


def test_after_it_was_closed_there_is_nothing_to_take() -> None:
    forever = Event()
    every = read(Source(0, forever))
    every.stop()
    assert every.take() is None
    forever.set()
